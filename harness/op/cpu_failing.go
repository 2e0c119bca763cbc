// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
)

// cpuSteps bounds the step that is drawn. A kernel has some seventy that can
// fail, and the guest goes round.
const cpuSteps = 256

// CPUFailing brings a CPU on- or offline with a step on the way failing.
var CPUFailing = Kinds.Register(&Kind{
	Name: "cpu-failing",
	Doc: "bring a CPU online or offline with a random step of CPU hotplug failing (cpuN/hotplug/fail), and then without: what was done until then " +
		"must be undone, locks included",
	Touches:  cpuTouches,
	Deadline: patience,
	Fails:    FailsAtFirst,
	Zero:     func() Op { return &cpuFailing{} },
	Draw: func(r *rand.Rand, s *State) Op {
		set, ok := drawCPUSet(r, s)
		if !ok {
			return nil
		}
		return &cpuFailing{cpuSet: set, Step: 1 + r.IntN(cpuSteps)}
	},
})

type cpuFailing struct {
	cpuSet
	Step int `json:"step"`
}

// Inject takes any refusal for what was asked for.
func (o *cpuFailing) Inject(ctx context.Context, v *vm.VM) error {
	return tolerate(v.Agent.Call(ctx, agent.MethodSetCPU, agent.SetCPUParams{
		CPU: o.CPU, Online: o.Online, LimitMS: v.Deadline(cpuLimit).Milliseconds(), FailStep: o.Step,
	}, nil))
}

// Confirm sets the CPU for good, which is no news to the kernel if it survived
// the failure.
func (o *cpuFailing) Confirm(ctx context.Context, v *vm.VM) error { return o.settle(ctx, v) }
