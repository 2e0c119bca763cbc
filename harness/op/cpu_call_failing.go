// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
	"math/rand/v2"

	"plugstorm/harness/vm"
)

// CPUCallFailing brings a CPU on- or offline with a function failing.
var CPUCallFailing = Kinds.Register(&Kind{
	Name: "cpu-call-failing",
	Doc: "bring a CPU online or offline with a call of a named kernel function failing, a few functions one after the other, and then without: " +
		"error paths that are no steps of CPU hotplug",
	Touches:  cpuTouches,
	Deadline: patience,
	Fails:    FailsAtFirst,
	Beside:   CPUOffline,
	Zero:     func() Op { return &cpuCallFailing{} },
	Draw: func(r *rand.Rand, s *State) Op {
		set, ok := drawCPUSet(r, s)
		if !ok {
			return nil
		}
		o := &cpuCallFailing{cpuSet: set}
		o.callFailing, _ = drawCalls(r, s, o.course(), callsAtOnce)
		return o
	},
})

type cpuCallFailing struct {
	cpuSet
	callFailing
}

func (o *cpuCallFailing) course() string {
	if o.Online {
		return "cpu-online"
	}
	return "cpu-offline"
}

// Inject tries it with each call failing, for as long as the CPU stays as it
// was. Any refusal is what was asked for.
func (o *cpuCallFailing) Inject(ctx context.Context, v *vm.VM) error {
	for _, call := range o.Calls {
		err := o.during(ctx, v, call, func() error {
			err := setCPU(ctx, v, o.CPU, o.Online)
			if errors.Is(err, ErrRefused) {
				return nil
			}
			return err
		})
		if err != nil || o.is(ctx, v) {
			return err
		}
	}
	return nil
}

// Confirm sets the CPU for good, which may be no news to the kernel.
func (o *cpuCallFailing) Confirm(ctx context.Context, v *vm.VM) error { return o.settle(ctx, v) }

// Apply also deals the next calls.
func (o *cpuCallFailing) Apply(s *State) {
	o.dealt(s, o.course())
	o.cpuSet.Apply(s)
}
