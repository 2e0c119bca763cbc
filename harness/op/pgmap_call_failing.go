// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"

	"plugstorm/harness/calls"
	"plugstorm/harness/vm"
)

// PgmapCallFailing lets the mapping of device memory fail in named functions.
var PgmapCallFailing = Kinds.Register(&Kind{
	Name: "pgmap-call-failing",
	Doc: "have a call of a named kernel function fail in memremap_pages(), a few functions one after the other: error paths that no failing allocation " +
		"leads to; nothing happens without workload pgmap-storm",
	Touches:  pgmapTouches,
	Deadline: patience,
	Fails:    FailsAllOver,
	Zero:     func() Op { return &pgmapCallFailing{} },
	Draw: func(r *rand.Rand, s *State) Op {
		failing, ok := drawCalls(r, s, "pgmap", callsAtOnce)
		if !ok {
			return nil
		}
		return &pgmapCallFailing{failing}
	},
})

type pgmapCallFailing struct{ callFailing }

// Inject lets the calls fail, one after the other.
func (o *pgmapCallFailing) Inject(ctx context.Context, v *vm.VM) error {
	for _, call := range o.Calls {
		if err := o.during(ctx, v, call, func() error { return awaitAWhile(ctx, v, call) }); err != nil {
			return err
		}
	}
	return nil
}

// awaitAWhile waits until a call has failed, but no longer than each of
// pgmap-storm's threads takes to map something.
func awaitAWhile(ctx context.Context, v *vm.VM, call calls.Call) error {
	short, cancel := context.WithTimeout(ctx, v.Deadline(pgmapFailingFor))
	defer cancel()
	err := awaitFired(short, v, call)
	if ctx.Err() == nil && short.Err() != nil && !Gone(err) {
		return nil
	}
	return err
}

// Confirm has nothing to wait for.
func (o *pgmapCallFailing) Confirm(context.Context, *vm.VM) error { return nil }

// Apply deals the next calls.
func (o *pgmapCallFailing) Apply(s *State) { o.dealt(s, "pgmap") }
