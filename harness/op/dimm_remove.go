// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"

	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
)

// DIMMRemove unplugs a DIMM.
var DIMMRemove = Kinds.Register(&Kind{
	Name:     "dimm-remove",
	Doc:      "unplug a DIMM (device_del) and wait until the guest has let it go, refused, or keeps it pending",
	Touches:  dimmRemoveTouches,
	Deadline: patience,
	Zero:     func() Op { return &dimmRemove{} },
	Draw: func(r *rand.Rand, s *State) Op {
		id, ok := pick(r, sortedKeys(s.DIMMs))
		if !ok {
			return nil
		}
		return &dimmRemove{ID: id}
	},
})

type dimmRemove struct {
	ID string `json:"id"`

	events *watch
}

func (o *dimmRemove) Inject(ctx context.Context, v *vm.VM) error {
	if err := settle(ctx, v, o.ID); err != nil {
		return err
	}
	if _, there := v.Devices.DIMM(o.ID); !there {
		return refused("%s is not plugged: its add didn't succeed", o.ID)
	}
	o.events = watchDevice(ctx, v, o.ID)
	return qemuRefusal(qmp.DeviceDel(ctx, v.Monitor, o.ID))
}

func (o *dimmRemove) Confirm(ctx context.Context, v *vm.VM) error {
	defer o.events.close()
	if err := o.events.removed(ctx); err != nil {
		return err
	}
	v.Devices.DropDIMM(o.ID)
	return qmp.ObjectDel(ctx, v.Monitor, backendOf(o.ID))
}

func (o *dimmRemove) Apply(s *State) { delete(s.DIMMs, o.ID) }
