// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"fmt"
	"math/rand/v2"

	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
)

// DIMMRemove unplugs a DIMM.
var DIMMRemove = Kinds.Register(&Kind{
	Name: "dimm-remove",
	Doc: "unplug a DIMM (device_del) and wait until the guest has let it go, refused, or keeps it pending. " +
		"Of a refused removal pseries' QEMU hears nothing, and it takes no second one: there the guest is asked",
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
	if err := disowned(ctx, v, o.ID); err != nil {
		return err
	}
	o.events = watchDevice(ctx, v, o.ID)
	if v.Devices.IsLeaving(o.ID) && v.Spec.Machine.DIMM.RemoveRequest != "" {
		return askAgain(ctx, v, o.ID)
	}
	return qemuRefusal(qmp.DeviceDel(ctx, v.Monitor, o.ID))
}

// askAgain has the guest do the removal that QEMU has asked for before. A kernel
// whose first LMB can't go tells nobody (dlpar_memory_remove_by_ic,
// arch/powerpc/platforms/pseries/hotplug-memory.c), and QEMU goes on waiting.
func askAgain(ctx context.Context, v *vm.VM, id string) error {
	r, _ := v.Devices.DIMM(id)
	dimm := v.Spec.Machine.DIMM
	unit := uint64(dimm.UnitMiB) << 20
	return dlpar(ctx, v, fmt.Sprintf(dimm.RemoveRequest, r.Size/unit, r.Start/unit))
}

func (o *dimmRemove) Confirm(ctx context.Context, v *vm.VM) error {
	defer o.events.close()
	if err := o.events.removed(ctx); err != nil {
		return err
	}
	v.Devices.DropDIMM(o.ID)
	return qmp.ObjectDel(ctx, v.Monitor, backendOf(o.ID))
}

// disowned refuses to unplug a DIMM whose memory the guest uses and which none of
// its drivers has. An ACPI guest that fails to bind its memory blocks leaves them
// (drivers/acpi/acpi_memhotplug.c acpi_memory_enable_device), says all the same that
// the insertion went well, and lets the device go without a look at them: the memory
// would vanish below a running kernel, and whatever it said then would be nobody's
// finding. The books tell of the blocks (docs/found/acpi-memory-bind-error.md). A guest
// whose blocks were seen bound isn't asked.
func disowned(ctx context.Context, v *vm.VM, id string) error {
	if v.Spec.Machine.DIMM.AddEvent == "" || v.Devices.DIMMBound(id) {
		return nil
	}
	r, _ := v.Devices.DIMM(id)
	blocks, err := blocksOf(ctx, v, r)
	if err != nil {
		return err
	}
	for _, b := range blocks {
		if !b.Bound {
			return refused("the guest has memory%d of %s, and no driver has %s: it would let it go with its memory in use", b.ID, id, id)
		}
	}
	return nil
}

func (o *dimmRemove) Apply(s *State) { delete(s.DIMMs, o.ID) }
