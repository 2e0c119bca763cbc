// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"

	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
)

// DIMMAdd plugs a DIMM into the machine's DIMM node.
var DIMMAdd = Kinds.Register(&Kind{
	Name:     "dimm-add",
	Doc:      "plug a DIMM (object-add, device_add pc-dimm) and wait until the guest has its memory",
	Touches:  dimmAddTouches,
	Deadline: patience,
	Zero:     func() Op { return &dimmAdd{} },
	Draw: func(r *rand.Rand, s *State) Op {
		id, ok := pick(r, s.freeDIMMs())
		if !ok {
			return nil
		}
		return &dimmAdd{ID: id, MiB: s.DIMM.UnitMiB * (1 + r.IntN(s.MaxUnits)), Node: s.DIMM.Node}
	},
})

type dimmAdd struct {
	ID   string `json:"id"`
	MiB  int    `json:"mib"`
	Node int    `json:"node"`

	events *watch
}

func (o *dimmAdd) Inject(ctx context.Context, v *vm.VM) error {
	if err := settle(ctx, v, o.ID); err != nil {
		return err
	}
	if _, there := v.Devices.DIMM(o.ID); there {
		return refused("%s is still plugged: its removal didn't succeed", o.ID)
	}
	o.events = watchDevice(ctx, v, o.ID)
	backend := backendOf(o.ID)
	size := map[string]any{"size": uint64(o.MiB) << 20}
	if err := qmp.ObjectAdd(ctx, v.Monitor, "memory-backend-ram", backend, size); err != nil {
		return qemuRefusal(err)
	}
	place := map[string]any{"memdev": backend, "node": o.Node}
	if slot, ok := dimmSlot(o.ID); ok {
		place["slot"] = slot
	}
	if err := qmp.DeviceAdd(ctx, v.Monitor, "pc-dimm", o.ID, place); err != nil {
		_ = qmp.ObjectDel(ctx, v.Monitor, backend) // the reason for the failure counts
		return qemuRefusal(err)
	}
	return nil
}

func (o *dimmAdd) Confirm(ctx context.Context, v *vm.VM) error {
	defer o.events.close()
	r, err := whereIs(ctx, v, o.ID)
	if err != nil {
		return err
	}
	v.Devices.SetDIMM(o.ID, r)
	if v.Spec.Machine.DIMM.AddEvent != "" {
		if err := o.events.added(ctx); err != nil {
			return behind(v, o.ID, err)
		}
	}
	bound, err := waitMemory(ctx, v, r)
	if err != nil {
		return behind(v, o.ID, err)
	}
	if bound {
		v.Devices.SetDIMMBound(o.ID)
	}
	return nil
}

func (o *dimmAdd) Apply(s *State) { s.DIMMs[o.ID] = DIMM{MiB: o.MiB, Offline: map[int]bool{}} }
