// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"errors"

	"plugstorm/harness/history"
	"plugstorm/harness/pool"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
)

// emulatorBytes is what QEMU takes besides its guest's memory, at most: its own
// and, under TCG, the code that it translates to (docs/measured-facts.md).
const emulatorBytes = 512 << 20

// GuestBytes is the most memory of the host that a guest takes.
func GuestBytes(s *schedule.Scenario, m *vm.Machine) int64 {
	return int64(s.MaxMiB(m))<<20 + emulatorBytes
}

// kind is what guests of this run are for the pool.
func (r *runner) kind() string { return r.cfg.Machine.Name }

// seated waits until there is room for the run's guests beside those of other
// runs, and does the loop. They keep the seat one after the other: a run that has
// begun doesn't lose its time to others.
func (r *runner) seated(ctx context.Context) error {
	seat, err := r.cfg.Pool.Enter(ctx, pool.Guest{Kind: r.kind(), Need: GuestBytes(r.cfg.Scenario, r.cfg.Machine)})
	switch {
	case errors.Is(err, pool.ErrEnded):
		r.history.Add(history.Event{Type: history.RunEnd})
		return nil
	case err != nil:
		return r.interrupted(ctx)
	}
	defer seat.Leave()
	r.seat = seat
	if waited, why := seat.Waited(); why != "" {
		r.history.Add(history.Event{Type: history.Wait, Guest: 1, Waited: waited, Text: why})
	}
	return r.loop(ctx)
}

// watchPool ends the guest's storm when another run has found what ends them
// all.
func (g *guest) watchPool() {
	select {
	case <-g.cfg.Pool.Ended(g.kind()):
		g.end(errTimeUp)
	case <-g.ctx.Done():
	}
}

// fares tells the pool how the guest fares.
func (g *guest) fares(now vm.HostTime, starved float64, private int64) {
	if now == (vm.HostTime{}) {
		starved = -1 // the host doesn't tell
	}
	g.seat.Fares(starved, private)
}
