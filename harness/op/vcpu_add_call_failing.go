// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
)

// VCPUAddCallFailing plugs a vCPU while a function fails.
var VCPUAddCallFailing = Kinds.Register(&Kind{
	Name: "vcpu-add-call-failing",
	Doc: "plug a vCPU with a call of a named kernel function failing on the way, where the guest can be asked again a few functions one after the other, and then without: " +
		"error paths of registering a CPU and of bringing it up for the first time, and what trips over what they have left; that the guest doesn't take it is a legitimate answer",
	Touches:  vcpuTouches,
	Deadline: patience,
	Fails:    FailsAtFirst,
	Beside:   VCPUAdd,
	Zero:     func() Op { return &vcpuAddCallFailing{} },
	Draw: func(r *rand.Rand, s *State) Op {
		n := callsAtOnce
		if !s.addsAgain { // what the guest then does again is to bring the CPU online
			n = max(1, s.callDeck(r, "vcpu-add").Firsts())
		}
		o := VCPUAdd.Draw(r, s)
		failing, ok := drawCalls(r, s, "vcpu-add", n)
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

// Inject plugs it with the first call failing, and has the guest try again with the
// others for as long as it hasn't the CPU online. Any refusal is what was asked for.
func (o *vcpuAddCallFailing) Inject(ctx context.Context, v *vm.VM) error {
	if err := o.plug(ctx, v, o.vcpuAdd.Inject); err != nil {
		return err
	}
	if err := o.confirm(ctx, v, o.online); err == nil || !errors.Is(err, ErrRefused) {
		return err
	}
	for _, call := range o.Calls[1:] {
		cpu, _, err := o.look(ctx, v)
		if err != nil || cpu < 0 && v.Spec.Machine.VCPU.AddRequest == "" {
			return err
		}
		if err := o.during(ctx, v, call, func() error { return tolerate(o.again(ctx, v)) }); err != nil {
			return err
		}
	}
	return nil
}

// Confirm has the guest try once more, which may be no news to it.
func (o *vcpuAddCallFailing) Confirm(ctx context.Context, v *vm.VM) error { return o.again(ctx, v) }

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

// again has the guest try what it has refused, as far as it can be asked: to take the
// vCPU, or to bring online the CPU that it has taken.
func (o *vcpuAddCallFailing) again(ctx context.Context, v *vm.VM) error {
	request := v.Spec.Machine.VCPU.AddRequest
	cpu, online, err := o.look(ctx, v)
	switch {
	case err != nil || online:
		return err
	case cpu >= 0:
		return setCPU(ctx, v, cpu, true)
	case request == "":
		return refused("the guest has not taken %s", vm.VCPUID(o.CPU))
	}
	return dlpar(ctx, v, fmt.Sprintf(request, o.CPU))
}

// look asks for the CPU that the guest has made of the vCPU, -1 if it has none, and
// whether it is online.
func (o *vcpuAddCallFailing) look(ctx context.Context, v *vm.VM) (cpu int, online bool, err error) {
	var now agent.CPUsReply
	if err := v.Agent.Call(ctx, agent.MethodCPUs, agent.CPUsParams{}, &now); err != nil {
		return -1, false, err
	}
	cpu = newCPU(o.before, now, v.Spec.Machine.VCPU.ColdPlugged, o.CPU)
	return cpu, slices.Contains(now.Online, cpu), nil
}

// Apply also deals the next calls.
func (o *vcpuAddCallFailing) Apply(s *State) {
	o.dealt(s, "vcpu-add")
	o.vcpuAdd.Apply(s)
}
