// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"

	"plugstorm/harness/vm"
)

// VCPUAddFailing plugs a vCPU into a guest that runs out of memory over it.
var VCPUAddFailing = Kinds.Register(&Kind{
	Name: "vcpu-add-failing",
	Doc: "plug a vCPU while some allocations of the kernel's workers, who do the hotplug, fail (failslab, fail_page_alloc): the error paths of " +
		"registering a CPU and of bringing it up; that the guest doesn't take it is a legitimate answer",
	Touches:  vcpuTouches,
	Deadline: patience,
	Fails:    FailsAllOver,
	Zero:     func() Op { return &vcpuAddFailing{} },
	Draw: func(r *rand.Rand, s *State) Op {
		o := VCPUAdd.Draw(r, s)
		if o == nil {
			return nil
		}
		return &vcpuAddFailing{vcpuAdd: *o.(*vcpuAdd), failing: drawFailing(r)}
	},
})

type vcpuAddFailing struct {
	vcpuAdd
	failing
}

// Inject plugs the vCPU.
func (o *vcpuAddFailing) Inject(ctx context.Context, v *vm.VM) error {
	return o.inject(ctx, v, o.vcpuAdd.Inject)
}

// Confirm waits for the CPU.
func (o *vcpuAddFailing) Confirm(ctx context.Context, v *vm.VM) error {
	return o.confirm(ctx, v, o.vcpuAdd.Confirm)
}
