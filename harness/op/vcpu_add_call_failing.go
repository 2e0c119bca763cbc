// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"

	"plugstorm/harness/vm"
)

// VCPUAddCallFailing plugs a vCPU while a function fails.
var VCPUAddCallFailing = Kinds.Register(&Kind{
	Name:     "vcpu-add-call-failing",
	Doc:      "plug a vCPU with a call of a named kernel function failing on the way: error paths of registering a CPU and of bringing it up for the first time; that the guest doesn't take it is a legitimate answer",
	Deadline: patience,
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
	return o.confirm(ctx, v, o.vcpuAdd.Confirm)
}

// Apply also deals the next call.
func (o *vcpuAddCallFailing) Apply(s *State) {
	o.dealt(s, "vcpu-add")
	o.vcpuAdd.Apply(s)
}
