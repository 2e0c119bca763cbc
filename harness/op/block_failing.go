// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
	"math/rand/v2"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
)

// A failing op sets a block twice: once with an error made on its way, which
// the kernel may survive or pass on, and then without, which is what any
// hotplug after an error path must still be able to do.

// BlockFailNth brings a block on- or offline with one allocation failing.
var BlockFailNth = Kinds.Register(&Kind{
	Name: "block-fail-nth",
	Doc: "bring a memory block of a DIMM online or offline with the nth allocation on the way failing (fail-nth), and then without: " +
		"over many draws a sweep of all error paths",
	Touches:  blockTouches,
	Deadline: patience,
	Fails:    FailsAtFirst,
	Zero:     func() Op { return &blockFailNth{} },
	Draw: func(r *rand.Rand, s *State) Op {
		set, ok := drawBlockSet(r, s)
		if !ok {
			return nil
		}
		octave := 1 << r.IntN(8) // the first allocations are the most interesting ones
		return &blockFailNth{blockSet: set, Nth: octave + r.IntN(octave)}
	},
})

// drawBlockSet draws a block and the other state than the one it is in.
func drawBlockSet(r *rand.Rand, s *State) (blockSet, bool) {
	kinds := []*Kind{BlockOffline, BlockOnline}
	r.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for _, kind := range kinds {
		if o := kind.Draw(r, s); o != nil {
			return *o.(*blockSet), true
		}
	}
	return blockSet{}, false
}

type blockFailNth struct {
	blockSet
	Nth int `json:"nth"`
}

// Inject takes any refusal for what was asked for.
func (o *blockFailNth) Inject(ctx context.Context, v *vm.VM) error {
	params, err := o.params(v)
	if err != nil {
		return err
	}
	params.FailNth = o.Nth
	return tolerate(v.Agent.Call(ctx, agent.MethodSetBlock, params, nil))
}

// Confirm sets the block for good. That it is in that state already is what
// the kernel says after a failure that it survived.
func (o *blockFailNth) Confirm(ctx context.Context, v *vm.VM) error { return o.again(ctx, v) }

// again sets a block that may be as it should be: `state` calls that invalid.
func (o *blockSet) again(ctx context.Context, v *vm.VM) error {
	params, err := o.params(v)
	if err != nil {
		return err
	}
	err = guestRefusal(v.Agent.Call(ctx, agent.MethodSetBlock, params, nil))
	if errors.Is(err, ErrRefused) && o.is(ctx, v, params.ID) {
		return nil
	}
	return err
}

// is reports whether a block is in the state that the op wants.
func (o *blockSet) is(ctx context.Context, v *vm.VM, id uint64) bool {
	unit := uint64(v.Spec.Machine.DIMM.UnitMiB) << 20
	blocks, err := blocksOf(ctx, v, vm.Range{Start: id * unit, Size: unit})
	return err == nil && len(blocks) == 1 && (blocks[0].State == "offline") == o.offline()
}

// tolerate passes on what isn't a legitimate refusal.
func tolerate(err error) error {
	if err = guestRefusal(err); errors.Is(err, ErrRefused) {
		return nil
	}
	return err
}
