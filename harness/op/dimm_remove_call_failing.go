// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"

	"plugstorm/harness/vm"
)

// DIMMRemoveCallFailing unplugs a DIMM while a function fails.
var DIMMRemoveCallFailing = Kinds.Register(&Kind{
	Name:     "dimm-remove-call-failing",
	Doc:      "unplug a DIMM with a call of a named kernel function failing on the way: error paths of offlining and removing memory that no failing allocation leads to",
	Touches:  dimmRemoveTouches,
	Deadline: patience,
	Fails:    FailsAllOver,
	Beside:   DIMMRemove,
	Zero:     func() Op { return &dimmRemoveCallFailing{} },
	Draw: func(r *rand.Rand, s *State) Op {
		o := DIMMRemove.Draw(r, s)
		failing, ok := drawCalls(r, s, "memory-remove", 1)
		if o == nil || !ok {
			return nil
		}
		return &dimmRemoveCallFailing{dimmRemove: *o.(*dimmRemove), callFailing: failing}
	},
})

type dimmRemoveCallFailing struct {
	dimmRemove
	callFailing
}

// Inject begins it with the call failing.
func (o *dimmRemoveCallFailing) Inject(ctx context.Context, v *vm.VM) error {
	return o.plug(ctx, v, o.dimmRemove.Inject)
}

// Confirm waits for what the guest does.
func (o *dimmRemoveCallFailing) Confirm(ctx context.Context, v *vm.VM) error {
	return o.confirm(ctx, v, o.dimmRemove.Confirm)
}

// Apply also deals the next call.
func (o *dimmRemoveCallFailing) Apply(s *State) {
	o.dealt(s, "memory-remove")
	o.dimmRemove.Apply(s)
}
