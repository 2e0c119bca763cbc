// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
	"math/rand/v2"

	"plugstorm/harness/vm"
)

// VCPUAddCallFailing plugs a vCPU while a function fails.
var VCPUAddCallFailing = Kinds.Register(&Kind{
	Name:     "vcpu-add-call-failing",
	Doc:      "plug a vCPU with a call of a named kernel function failing on the way: error paths of registering a CPU and of bringing it up for the first time; that the guest doesn't take it is a legitimate answer",
	Touches:  vcpuTouches,
	Deadline: patience,
	Fails:    FailsAllOver,
	Beside:   VCPUAdd,
	Zero:     func() Op { return &vcpuAddCallFailing{} },
	Draw: func(r *rand.Rand, s *State) Op {
		o := VCPUAdd.Draw(r, s)
		failing, ok := drawCalls(r, s, "vcpu-add", 1)
		if o == nil || !ok {
			return nil
		}
		return &vcpuAddCallFailing{vcpuAdd: *o.(*vcpuAdd), callFailing: failing}
	},
})

type vcpuAddCallFailing struct {
	vcpuAdd
	callFailing
}

// Inject begins it with the call failing.
func (o *vcpuAddCallFailing) Inject(ctx context.Context, v *vm.VM) error {
	return o.plug(ctx, v, o.vcpuAdd.Inject)
}

// Confirm waits for what the guest does.
func (o *vcpuAddCallFailing) Confirm(ctx context.Context, v *vm.VM) error {
	return o.confirm(ctx, v, o.online)
}

// online waits for the CPU. One that is present can't be brought online before
// it is registered (drivers/acpi/acpi_processor.c acpi_processor_hotadd_init),
// which is where the call may be still to come.
func (o *vcpuAddCallFailing) online(ctx context.Context, v *vm.VM) error {
	return poll(ctx, func() (bool, error) {
		err := o.vcpuAdd.Confirm(ctx, v)
		if errors.Is(err, ErrRefused) && len(o.reports) == 0 {
			report, unasked := askCall(ctx, v, o.Calls[0])
			if unasked == nil && !report.Fired && report.Unavailable == "" {
				return false, nil
			}
		}
		return true, err
	})
}

// Apply also deals the next call.
func (o *vcpuAddCallFailing) Apply(s *State) {
	o.dealt(s, "vcpu-add")
	o.vcpuAdd.Apply(s)
}
