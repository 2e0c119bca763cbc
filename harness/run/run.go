// SPDX-License-Identifier: Apache-2.0

// Package run is the one loop: it takes steps from a schedule, does them to a
// guest, and writes everything into a history. It judges nothing; the little
// that it decides while the guest runs (is this guest still worth anything?)
// it writes down as well.
package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/pool"
	"plugstorm/harness/rules"
	"plugstorm/harness/schedule"
	"plugstorm/harness/splat"
	"plugstorm/harness/vm"
)

// A Config is a run of one scenario on one machine.
type Config struct {
	Case     history.Case // Started is filled in
	Machine  *vm.Machine
	Backend  *vm.Backend
	Accel    vm.Accel
	Emulator string
	Version  vm.Version
	Scenario *schedule.Scenario
	Replay   []schedule.Step // nil: draw from Case.Seed
	Dir      string          // the run's directory; must not hold a run yet

	Snapshots Snapshots      // where guests are saved and come from; nil: all of them boot
	HostLoad  func() float64 // see vm.HostLoad; nil: unknown

	// Pool says when the first guest may be started beside those of other runs, and
	// ends the run when another one of the same machine has found what ends them.
	// nil: the run is alone.
	Pool *pool.Pool

	// Until ends the run with the first complaint that it is true of. It is
	// called by the goroutine that reads the console. May be nil.
	Until func(splat.Finding) bool

	// Watch is told now and then how the run goes, from any goroutine. May be nil.
	Watch func(Progress)
}

// Progress is how far a run has come.
type Progress struct {
	Machine  string
	Phase    string        // "booting", "storming", "collecting"
	Elapsed  time.Duration // of the storm
	Total    time.Duration
	Guest    int // which one, from 1
	Steps    int // finished
	Findings int // complaints seen live, repetitions included
}

// maxFaults is how many guests a run may lose in a row, to QEMU's death or to
// a failed boot, before it gives up.
const maxFaults = 3

// Run performs a run. Its error is about recording only (and about a run
// interrupted by ctx): how the guest fared is in the history. It blocks for
// Case.Duration and the boots, and leaves no process behind.
func Run(ctx context.Context, cfg Config) error {
	budget := vm.BudgetOf(cfg.Machine, cfg.Accel, cfg.Version)
	lanes := schedule.Sequences(cfg.Scenario, cfg.Machine, budget, cfg.Case.Seed)
	if cfg.Replay != nil {
		if err := schedule.Replay(lanes, cfg.Replay); err != nil {
			return err
		}
	}
	set, err := ruleSet(cfg.Case.Rules)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return blame.On(blame.Host, err, "choose another directory with --out")
	}
	cfg.Case.Version, cfg.Case.Started = history.Version, time.Now()
	cfg.Case.Lanes = schedule.Kinds(cfg.Scenario, cfg.Machine, budget, cfg.Replay)
	h, err := history.Create(cfg.Dir, cfg.Case.Started)
	if err != nil {
		return err
	}
	if err := history.WriteJSON(filepath.Join(cfg.Dir, history.CaseFile), cfg.Case); err != nil {
		return errors.Join(err, h.Close())
	}
	h.Add(history.Event{Type: history.RunStart, Case: &cfg.Case})
	r := &runner{cfg: cfg, history: h, lanes: lanes, rules: set, together: newJointWaits()}
	return errors.Join(r.seated(ctx), h.Err(), h.Close(), history.SaveSchedule(cfg.Dir))
}

// ruleSet reads the rules of a case.
func ruleSet(text *history.RuleText) (*rules.Set, error) {
	if text == nil {
		return nil, nil //nolint:nilnil // no rules are to be checked
	}
	return rules.Parse(text.Text, text.Name)
}

// A runner is one run in progress.
type runner struct {
	cfg     Config
	history *history.Writer
	lanes   []*schedule.Sequence
	rules   *rules.Set // nil: none are checked

	usual durations // of ops

	seq      atomic.Int64 // of the last step begun
	finished atomic.Int64 // steps
	seen     atomic.Int64 // complaints
	enough   atomic.Bool  // Config.Until was true of a complaint
	saved    snapshots
	together *jointWaits // what its guests have told of their waits
	guest    int
	seat     *pool.Seat    // nil without a pool
	stormed  time.Time     // when the first guest was up; zero before
	lastBoot time.Duration // of the last guest that came up
}

// left is how much of the storm is to come.
func (r *runner) left() time.Duration {
	if r.stormed.IsZero() {
		return r.cfg.Case.Duration
	}
	return r.cfg.Case.Duration - time.Since(r.stormed)
}

// loop runs guest after guest until the time is up.
func (r *runner) loop(ctx context.Context) error {
	faults := 0
	for !r.enough.Load() && !r.cfg.Pool.Over(r.kind()) && r.left() > r.lastBoot { // a guest for whom there is no time is not booted
		r.guest++
		why := r.oneGuest(ctx)
		r.seat.Up() // or it never will
		switch {
		case ctx.Err() != nil:
			return r.interrupted(ctx)
		case r.history.Err() != nil:
			return nil // Run reports it
		case errors.Is(why, errTimeUp):
			faults = 0
		case errors.Is(why, errRetired) && !errors.Is(why, errBoot):
			faults = 0
		default:
			faults++
			if faults >= maxFaults {
				r.fault(blame.Of(why), "", "giving up: lost %d guests in a row", faults)
				return nil
			}
		}
	}
	r.history.Add(history.Event{Type: history.RunEnd})
	return nil
}

// interrupted records that the user has had enough.
func (r *runner) interrupted(ctx context.Context) error {
	r.fault(blame.User, "", "interrupted after %s", time.Since(r.cfg.Case.Started).Round(time.Second))
	return blame.Errorf(blame.User, "", "interrupted: %w", context.Cause(ctx))
}

// fault records that something that isn't the kernel's went wrong.
func (r *runner) fault(p blame.Party, next, format string, args ...any) {
	r.history.Add(history.Event{Type: history.Fault, Guest: r.guest, Party: string(p), Next: next, Text: fmt.Sprintf(format, args...)})
}

func (r *runner) progress(phase string) {
	if r.cfg.Watch == nil {
		return
	}
	p := Progress{
		Machine: r.cfg.Machine.Name, Phase: phase, Total: r.cfg.Case.Duration, Guest: r.guest,
		Steps: int(r.finished.Load()), Findings: int(r.seen.Load()),
	}
	if !r.stormed.IsZero() {
		p.Elapsed = time.Since(r.stormed)
	}
	r.cfg.Watch(p)
}
