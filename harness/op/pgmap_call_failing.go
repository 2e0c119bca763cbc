// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"

	"plugstorm/harness/vm"
)

// PgmapCallFailing lets the mapping of device memory fail in named functions.
var PgmapCallFailing = Kinds.Register(&Kind{
	Name: "pgmap-call-failing",
	Doc: "have a call of a named kernel function fail in memremap_pages(), a few functions one after the other: error paths that no failing allocation " +
		"leads to; nothing happens without workload pgmap-storm",
	Deadline: patience,
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

// Inject lets the calls fail, each for a while.
func (o *pgmapCallFailing) Inject(ctx context.Context, v *vm.VM) error {
	for _, call := range o.Calls {
		if err := o.during(ctx, v, call, func() error { pause(ctx, v.Deadline(pgmapFailingFor)); return nil }); err != nil {
			return err
		}
	}
	return nil
}

// Confirm has nothing to wait for.
func (o *pgmapCallFailing) Confirm(context.Context, *vm.VM) error { return nil }

// Apply deals the next calls.
func (o *pgmapCallFailing) Apply(s *State) { o.dealt(s, "pgmap") }
