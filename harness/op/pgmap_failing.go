// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"
	"time"

	"plugstorm/harness/vm"
)

// PgmapFailing lets the mapping of device memory fail.
var PgmapFailing = Kinds.Register(&Kind{
	Name: "pgmap-failing",
	Doc: "for a while some allocations of pgmap-storm's threads fail (failslab, fail_page_alloc): the error paths of memremap_pages(); " +
		"nothing happens without that workload",
	Touches:  pgmapTouches,
	Deadline: patience,
	Fails:    FailsAllOver,
	Zero:     func() Op { return &pgmapFailing{} },
	Draw: func(r *rand.Rand, _ *State) Op {
		f := drawFailing(r)
		f.Who = "pgmap"
		return &pgmapFailing{failing: f}
	},
})

// pgmapFailingFor is long enough for each thread to map something. Stretched.
const pgmapFailingFor = 300 * time.Millisecond

type pgmapFailing struct{ failing }

// Inject lets allocations fail.
func (o *pgmapFailing) Inject(ctx context.Context, v *vm.VM) error { return o.begin(ctx, v) }

// Confirm waits a while and stops the failing.
func (o *pgmapFailing) Confirm(ctx context.Context, v *vm.VM) error {
	timer := time.NewTimer(v.Deadline(pgmapFailingFor))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return o.end(ctx, v)
}

// Apply changes nothing.
func (o *pgmapFailing) Apply(*State) {}
