// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
)

func (a *app) replayCommand() *cobra.Command {
	f := &runFlags{}
	c := &cobra.Command{
		Use:   "replay DIR",
		Short: "the same schedule again",
		Long: `Replay repeats a recorded run, or one machine's part of it: the same kernel,
the same steps on the same lanes with the same pauses. Its guests come from a
snapshot if the recorded run's first one did, and boot otherwise. Steps come from
schedule.json, which may be shortened by hand, and the kernel from the cache;
it is rebuilt the same way if it is gone.`,
		Example: "  plugstorm replay plugstorm-runs/20261121-120000-seed1/pseries",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return a.replay(c.Context(), f, args[0]) },
	}
	flags := c.Flags()
	flags.StringVar(&f.out, "out", "", "run directory, new or empty (default below plugstorm-runs)")
	flags.StringVar(&f.accel, "accel", "", "auto, kvm or tcg (default that of the recorded run)")
	flags.BoolVar(&f.json, "json", false, "print one JSON object (docs/json.md)")
	flags.StringVar(&f.known, "known", "default", "known-issues file, 'default' for ours, 'none'")
	return c
}

// replay sets a run up from the record of an earlier one.
func (a *app) replay(ctx context.Context, given *runFlags, dir string) error {
	dir, parts, err := recordedParts(dir)
	if err != nil {
		return err
	}
	p := &plan{replayOf: dir, replays: map[string][]slot{}}
	for _, part := range parts {
		for _, d := range part.slots {
			number := 0
			if !part.alone() {
				number = slotNumber(d)
			}
			if err := a.recorded(p, given, d, number); err != nil {
				return err
			}
		}
	}
	if len(parts) == 1 && parts[0].alone() {
		p.vms = 1
	}
	if err := checkFlags(p.flags, len(p.machines)); err != nil {
		return err
	}
	if p.known, err = loadKnown(given.known); err != nil {
		return err
	}
	if err := p.makeDir(given.out); err != nil {
		return err
	}
	defer p.tidy()
	a.ui.Line(fmt.Sprintf("replaying %s; run directory %s", dir, p.dir))
	return a.runMachines(ctx, p)
}

// recorded takes the record of one machine, or of its slot of that number, into
// the plan.
func (a *app) recorded(p *plan, given *runFlags, dir string, number int) error {
	h, err := history.Read(dir)
	if err != nil {
		return err
	}
	steps, err := history.Schedule(dir)
	if err != nil {
		return err
	}
	m, err := vm.Machines.Get(h.Case.Machine)
	if err != nil {
		return err
	}
	if p.scenario, err = schedule.Find(h.Case.Suite); err != nil {
		return err
	}
	f, baselined, err := a.parseRun(h.Case.Command)
	if err != nil {
		return err
	}
	if err := fits(p.scenario, steps); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	f.out, f.json, f.known = given.out, given.json, given.known
	if given.accel != "" {
		f.accel = given.accel
	}
	if p.source, err = f.source(baselined); err != nil {
		return err
	}
	p.rules, p.widen, p.focus, p.changed = h.Case.Rules, h.Case.Widen, h.Case.Focus, h.Case.Changed
	if p.ownCalls == nil {
		p.ownCalls = map[string][]string{}
	}
	p.ownCalls[m.Name] = h.Case.OwnCalls // all slots have the same
	p.vms = max(p.vms, min(h.Case.VMs, maxVMs))
	if len(p.machines) == 0 {
		p.seed = h.Case.Seed
	}
	p.flags, p.duration = f, h.Case.Duration
	if len(p.replays[m.Name]) == 0 {
		if f.ignoreDefects {
			m = withoutDefects(m)
		}
		p.machines = append(p.machines, m)
	}
	p.replays[m.Name] = append(p.replays[m.Name], recordedSlot(h, steps, number))
	return nil
}

// recordedSlot is the slot of a number that does the steps of a record; 0 for a
// record of no slot.
func recordedSlot(h *history.History, steps []schedule.Step, number int) slot {
	s := slot{
		seed: h.Case.Seed, steps: append([]schedule.Step{}, steps...), kernel: h.Case.Kernel.Key,
		cold: !h.Restored(), // as it was: a snapshot that was saved since then doesn't change that
	}
	if number > 0 {
		s.number, s.of = number, max(number, h.Case.Slots)
	}
	return s
}

// fits makes sure that a scenario has the lanes of all recorded steps: steps
// of other lanes would silently be left out.
func fits(s *schedule.Scenario, steps []schedule.Step) error {
	for i, step := range steps {
		if !step.OfFinale() && !slices.ContainsFunc(s.Lanes, func(l schedule.Lane) bool { return l.Name == step.Lane }) {
			return blame.Errorf(blame.User, "replay it with the plugstorm that recorded it", "step %d: suite %s has no lane %q", i, s.Name, step.Lane)
		}
	}
	return nil
}

// parseRun reads the recorded command line of a run back into flags, with the
// parser that read it the first time.
func (a *app) parseRun(command []string) (f *runFlags, baselined bool, err error) {
	if len(command) < 2 || command[0] != "plugstorm" || command[1] != "run" {
		return nil, false, blame.Errorf(blame.User, "", "the record names no plugstorm run command but %q", command)
	}
	f = &runFlags{}
	c := newRunCommand(f, nil)
	if err := c.ParseFlags(command[2:]); err != nil {
		return nil, false, blame.On(blame.User, err, "was the record written by another version of plugstorm?")
	}
	inputs := append([]string{f.tree}, f.patches...)
	if f.kernel != "stock" {
		inputs = append(inputs, f.kernel)
	}
	for _, path := range inputs {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return nil, false, blame.On(blame.User, err, "the recorded run was built from it: bring it back")
		}
	}
	return f, c.Flags().Changed("baseline"), nil
}
