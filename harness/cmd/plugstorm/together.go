// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"plugstorm/harness/pool"
	"plugstorm/harness/run"
	"plugstorm/harness/vm"
)

// A ready machine has a kernel and all that its slots have in common.
type ready struct {
	machine *vm.Machine
	config  run.Config // without what is a slot's own
}

// slotConfig is what a slot does.
func (r *ready) slotConfig(p *plan, s slot) run.Config {
	c := r.config
	c.Case.Seed, c.Case.Slot, c.Case.Slots = s.seed, s.number, s.of
	c.Case.Command = p.flags.command(p, r.machine.Name, s.seed)
	c.Dir, c.Replay = filepath.Join(p.dir, s.dir(r.machine.Name)), s.steps
	if s.cold {
		c.Snapshots, c.Case.Cold = nil, true
	}
	return c
}

// runReady runs all slots of machines at once, as many guests at a time as the
// plan has it, and judges them. What goes wrong in one slot is no matter of the
// others. An interrupted run is judged too: what was recorded counts.
func (a *app) runReady(ctx context.Context, p *plan, all ...*ready) error {
	var configs []run.Config
	for _, r := range all {
		for _, s := range p.slots(r.machine) {
			configs = append(configs, r.slotConfig(p, s))
		}
	}
	if len(configs) > 1 {
		shared := pool.New(max(1, p.vms), pool.ThisHost())
		for i := range configs {
			configs[i].Pool = shared
		}
	}
	failures := runAll(ctx, configs, a.ui.run)
	a.ui.close()
	for _, r := range all {
		judged, err := judgePart(p.partOf(r.machine), p.known)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", r.machine.Name, err))
			continue
		}
		p.report.Machines = append(p.report.Machines, judged)
	}
	return errors.Join(failures...)
}

// runAll does runs at once. show is told how they go, taken together.
func runAll(ctx context.Context, configs []run.Config, show func(run.Progress)) []error {
	errs := make([]error, len(configs))
	together := newTogether(configs, show)
	var all sync.WaitGroup
	for i, c := range configs {
		c.Watch = func(p run.Progress) { together.hear(i, p) }
		all.Go(func() {
			errs[i] = run.Run(ctx, c)
			together.over(i)
			if errs[i] != nil && c.Case.Slot > 0 {
				errs[i] = fmt.Errorf("%s, slot %d: %w", c.Machine.Name, c.Case.Slot, errs[i])
			}
		})
	}
	all.Wait()
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// A together makes one progress of several runs'.
type together struct {
	show func(run.Progress)
	name string

	mu   sync.Mutex
	each []run.Progress
}

// waiting is the phase of a run that no guest has been started for.
const waiting = "waiting"

func newTogether(configs []run.Config, show func(run.Progress)) *together {
	t := &together{show: show}
	count, names := map[string]int{}, []string{}
	for _, c := range configs {
		name := c.Machine.Name
		if count[name]++; count[name] == 1 {
			names = append(names, name)
		}
		t.each = append(t.each, run.Progress{Phase: waiting, Total: c.Case.Duration})
	}
	for i, name := range names {
		if n := count[name]; n > 1 {
			names[i] = fmt.Sprintf("%s ×%d", name, n)
		}
	}
	t.name = strings.Join(names, ", ")
	return t
}

// hear takes in how one of the runs goes, and shows how all of them do.
func (t *together) hear(i int, p run.Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.each[i] = p
	t.show(t.sum())
}

// over says that a run has ended.
func (t *together) over(i int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.each[i].Phase, t.each[i].Elapsed = "done", t.each[i].Total
}

// sum adds up guests, steps and complaints. The time is that of the run that
// has the longest way to go.
func (t *together) sum() run.Progress {
	sum := t.each[0]
	sum.Machine = t.name
	phases := map[string]int{sum.Phase: 1}
	for _, p := range t.each[1:] {
		sum.Elapsed, sum.Total = min(sum.Elapsed, p.Elapsed), max(sum.Total, p.Total)
		sum.Guest, sum.Steps, sum.Findings = sum.Guest+p.Guest, sum.Steps+p.Steps, sum.Findings+p.Findings
		phases[p.Phase]++
	}
	if len(phases) > 1 {
		var words []string
		for _, phase := range slices.Sorted(maps.Keys(phases)) {
			words = append(words, fmt.Sprint(phases[phase], " ", phase))
		}
		sum.Phase = strings.Join(words, ", ")
	}
	return sum
}
