// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"sync"
	"time"

	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
)

// These are stretched by the guest's slowness.
const (
	// finaleLimit bounds a finale.
	finaleLimit = 3 * time.Second

	// finaleRest is what its users get before each step and after the last one:
	// a few rounds.
	finaleRest = 150 * time.Millisecond

	// finaleStill is how long a task must stand still for the finale to stop
	// there: the next step might set it free.
	finaleStill = 200 * time.Millisecond
)

// finale has a few ops fail in a guest whose storm is over and whose workloads
// have been stopped, with nothing but the finale's users beside them. It stops
// where the kernel complains or a task stands still. What comes of it is for the
// guest's end to see.
func (g *guest) finale() {
	// A step that the limit cuts off did not hang: nobody knows how it ended.
	ctx, cancel := context.WithTimeoutCause(g.parent, g.vm.Deadline(finaleLimit), errTimeUp)
	defer cancel()
	next := g.finaleSteps(ctx)
	step, ok := next()
	if !ok {
		return
	}
	g.progress("finale")
	var users sync.WaitGroup
	g.startWorkloads(ctx, &users, g.scenario.Finale.Users)
	users.Wait()
	before := g.seen.Load()
	rest := func() bool { return op.Pause(ctx, g.vm.Deadline(finaleRest)) && g.seen.Load() == before }
	for ; ok; step, ok = next() {
		if !rest() || g.standsStill(ctx) {
			return
		}
		g.stepIn(ctx, step, false)
		g.live.settle(g.vm.Deadline(settleAfter))
	}
	rest()
}

// finaleSteps draws them, each when it is asked for, or takes them from a
// replay's record.
func (g *guest) finaleSteps(ctx context.Context) (next func() (schedule.Step, bool)) {
	if g.cfg.Replay == nil {
		lanes := schedule.LanesOf(g.lanes, g.cfg.Scenario, g.scenario)
		drawn := schedule.NewFinale(g.scenario, lanes, g.cfg.Case.Seed, g.number)
		return func() (schedule.Step, bool) {
			return drawn.Next(func(s *op.State) { _ = s.Observe(ctx, g.vm) }) // else it goes by what the lane believes
		}
	}
	recorded := schedule.RecordedFinale(g.cfg.Replay, g.number)
	return func() (step schedule.Step, ok bool) {
		if len(recorded) > 0 {
			step, recorded, ok = recorded[0], recorded[1:], true
		}
		return step, ok
	}
}

// standsStill reports whether a task is blocked and doesn't run for finaleStill.
// A guest in which none is blocked is not asked twice.
func (g *guest) standsStill(ctx context.Context) bool {
	still := standstill{}
	for range 2 {
		now, err := g.blocked(ctx)
		if err != nil {
			return false
		}
		if still.look(now); len(still) == 0 {
			return false
		}
		if tasks := still.of(g.vm.Deadline(finaleStill)); len(tasks) > 0 {
			return true
		}
		if !op.Pause(ctx, g.vm.Deadline(finaleStill)) {
			return false
		}
	}
	return false
}
