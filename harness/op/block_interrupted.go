// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
)

// interruptOctaves are how long a write may take before it is interrupted: up
// to 2^n milliseconds, n drawn from these many.
const interruptOctaves = 9

// BlockInterrupted brings a block on- or offline and has second thoughts.
var BlockInterrupted = Kinds.Register(&Kind{
	Name: "block-interrupted",
	Doc: "bring a memory block of a DIMM online or offline, with a signal to the writing task while it is at it, and then without: offline_pages() gives up " +
		"on any signal, wherever it is, and what it did until then must be undone",
	Touches:  blockTouches,
	Deadline: patience,
	Fails:    FailsAtFirst,
	Zero:     func() Op { return &blockInterrupted{} },
	Draw: func(r *rand.Rand, s *State) Op {
		set, ok := drawBlockSet(r, s)
		if !ok {
			return nil
		}
		octave := 1 << r.IntN(interruptOctaves)
		return &blockInterrupted{blockSet: set, AfterMS: octave + r.IntN(octave)}
	},
})

type blockInterrupted struct {
	blockSet
	AfterMS int `json:"after_ms"` // stretched, as the guest takes longer over it, too
}

// Inject takes any refusal for what was asked for.
func (o *blockInterrupted) Inject(ctx context.Context, v *vm.VM) error {
	params, err := o.params(v)
	if err != nil {
		return err
	}
	params.LimitMS = max(v.Deadline(time.Duration(o.AfterMS)*time.Millisecond).Milliseconds(), 1)
	return tolerate(v.Agent.Call(ctx, agent.MethodSetBlock, params, nil))
}

// Confirm sets the block for good.
func (o *blockInterrupted) Confirm(ctx context.Context, v *vm.VM) error { return o.again(ctx, v) }
