// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"

	"plugstorm/harness/vm"
)

// VCPURemoveCallFailing unplugs a vCPU while a function fails.
var VCPURemoveCallFailing = Kinds.Register(&Kind{
	Name:     "vcpu-remove-call-failing",
	Doc:      "unplug a vCPU with a call of a named kernel function failing on the way: error paths of offlining and removing a CPU",
	Touches:  vcpuTouches,
	Deadline: patience,
	Fails:    FailsAllOver,
	Beside:   VCPURemove,
	Zero:     func() Op { return &vcpuRemoveCallFailing{} },
	Draw: func(r *rand.Rand, s *State) Op {
		o := VCPURemove.Draw(r, s)
		failing, ok := drawCalls(r, s, "vcpu-remove", 1)
		if o == nil || !ok {
			return nil
		}
		return &vcpuRemoveCallFailing{vcpuRemove: *o.(*vcpuRemove), callFailing: failing}
	},
})

type vcpuRemoveCallFailing struct {
	vcpuRemove
	callFailing
}

// Inject begins it with the call failing.
func (o *vcpuRemoveCallFailing) Inject(ctx context.Context, v *vm.VM) error {
	return o.plug(ctx, v, o.vcpuRemove.Inject)
}

// Confirm waits for what the guest does.
func (o *vcpuRemoveCallFailing) Confirm(ctx context.Context, v *vm.VM) error {
	return o.confirm(ctx, v, o.vcpuRemove.Confirm)
}

// Apply also deals the next call.
func (o *vcpuRemoveCallFailing) Apply(s *State) {
	o.dealt(s, "vcpu-remove")
	o.vcpuRemove.Apply(s)
}
