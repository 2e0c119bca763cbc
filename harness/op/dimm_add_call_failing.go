// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"

	"plugstorm/harness/vm"
)

// DIMMAddCallFailing plugs a DIMM while a function fails.
var DIMMAddCallFailing = Kinds.Register(&Kind{
	Name:     "dimm-add-call-failing",
	Doc:      "plug a DIMM with a call of a named kernel function failing on the way: error paths of adding memory that no failing allocation leads to; that the guest doesn't take it is a legitimate answer",
	Touches:  dimmAddTouches,
	Deadline: patience,
	Fails:    FailsAllOver,
	Beside:   DIMMAdd,
	Zero:     func() Op { return &dimmAddCallFailing{} },
	Draw: func(r *rand.Rand, s *State) Op {
		o := DIMMAdd.Draw(r, s)
		failing, ok := drawCalls(r, s, "memory-add", 1)
		if o == nil || !ok {
			return nil
		}
		return &dimmAddCallFailing{dimmAdd: *o.(*dimmAdd), callFailing: failing}
	},
})

type dimmAddCallFailing struct {
	dimmAdd
	callFailing
}

// Inject begins it with the call failing.
func (o *dimmAddCallFailing) Inject(ctx context.Context, v *vm.VM) error {
	return o.plug(ctx, v, o.dimmAdd.Inject)
}

// Confirm waits for what the guest does.
func (o *dimmAddCallFailing) Confirm(ctx context.Context, v *vm.VM) error {
	return o.confirm(ctx, v, o.dimmAdd.Confirm)
}

// Apply also deals the next call.
func (o *dimmAddCallFailing) Apply(s *State) {
	o.dealt(s, "memory-add")
	o.dimmAdd.Apply(s)
}
