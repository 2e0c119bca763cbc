// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
)

// callsAtOnce is how many calls one op has fail, one after the other, where a
// try costs little.
const callsAtOnce = 4

// BlockCallFailing brings a block on- or offline with a function failing.
var BlockCallFailing = Kinds.Register(&Kind{
	Name: "block-call-failing",
	Doc: "bring a memory block of a DIMM online or offline with a call of a named kernel function failing, a few functions one after the other, and then " +
		"without: error paths that no failing allocation leads to",
	Touches:  blockTouches,
	Deadline: patience,
	Fails:    FailsAtFirst,
	Beside:   BlockOffline,
	Zero:     func() Op { return &blockCallFailing{} },
	Draw: func(r *rand.Rand, s *State) Op {
		kinds := []*Kind{BlockOffline, BlockOnline, BlockOnlineKernel}
		r.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		for _, kind := range kinds {
			set := kind.Draw(r, s)
			if set == nil {
				continue
			}
			o := &blockCallFailing{blockSet: *set.(*blockSet)}
			o.callFailing, _ = drawCalls(r, s, o.course(), callsAtOnce)
			return o
		}
		return nil
	},
})

type blockCallFailing struct {
	blockSet
	callFailing
}

func (o *blockCallFailing) course() string {
	if o.offline() {
		return "block-offline"
	}
	return "block-online"
}

// Inject tries it with each call failing, for as long as the block stays as it
// was. Any refusal is what was asked for.
func (o *blockCallFailing) Inject(ctx context.Context, v *vm.VM) error {
	params, err := o.params(v)
	if err != nil {
		return err
	}
	for _, call := range o.Calls {
		err := o.during(ctx, v, call, func() error { return tolerate(v.Agent.Call(ctx, agent.MethodSetBlock, params, nil)) })
		if err != nil || o.is(ctx, v, params.ID) {
			return err
		}
	}
	return nil
}

// Confirm sets the block for good.
func (o *blockCallFailing) Confirm(ctx context.Context, v *vm.VM) error { return o.again(ctx, v) }

// Apply also deals the next calls.
func (o *blockCallFailing) Apply(s *State) {
	o.dealt(s, o.course())
	o.blockSet.Apply(s)
}
