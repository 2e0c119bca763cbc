// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"plugstorm/harness/blame"
	"plugstorm/harness/detect"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
	"plugstorm/images"
	"plugstorm/suites"
)

// A target is a subject and how its kernel is made.
type target struct {
	subject detect.Subject
	plant   string   // its name; "" for a patch
	patch   string   // its file
	despite []string // known issues that count as findings here

	features []string // without which a patch's code isn't compiled, going by its header
}

// targets looks up what is to be hunted, once each.
func (f *benchFlags) targets() ([]target, error) {
	plants := f.plants
	if len(plants) == 0 && len(f.patches) == 0 {
		plants = []string{"all"}
	}
	var all []target
	for _, name := range plants {
		found := images.Plants()
		if name != "all" {
			p, err := images.FindPlant(name)
			if err != nil {
				return nil, err
			}
			found = []*images.Plant{p}
		}
		for _, p := range found {
			s := detect.Subject{Name: p.ID, Title: p.Title, Pick: []string{"--plant", p.ID}}
			if err := f.expect(&s, p); err != nil {
				return nil, err
			}
			all = append(all, target{subject: s, plant: p.ID, despite: p.Expect.Despite})
		}
	}
	for _, file := range f.patches {
		p, err := images.ReadPlant(file)
		if err != nil {
			return nil, err
		}
		s := detect.Subject{Name: p.Name, Title: p.Title, Pick: []string{"--patch", file}}
		if err := f.expect(&s, p); err != nil {
			return nil, err
		}
		all = append(all, target{subject: s, patch: file, despite: p.Expect.Despite, features: p.Features()})
	}
	return once(all)
}

// once drops repetitions. Two patches of one name can't be told apart.
func once(all []target) ([]target, error) {
	var kept []target
	for _, t := range all {
		i := slices.IndexFunc(kept, func(k target) bool { return k.subject.Name == t.subject.Name })
		switch {
		case i < 0:
			kept = append(kept, t)
		case kept[i].plant != t.plant || kept[i].patch != t.patch:
			return nil, blame.Errorf(blame.User, "rename one", "two different bugs are named %q", t.subject.Name)
		}
	}
	return kept, nil
}

// expect fills in what a header says.
func (f *benchFlags) expect(s *detect.Subject, p *images.Plant) error {
	s.Hazard, s.Machines, s.Silent = p.Expect.Hazard, p.Expect.Machines, p.Expect.Silent
	for _, name := range slices.Concat(s.Machines, s.Silent) {
		if _, err := vm.Machines.Get(name); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	for _, text := range p.Expect.Match {
		m, err := detect.ParseMatcher(text)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		s.Match = append(s.Match, m)
	}
	s.Suite = suites.Hunt.Name
	switch {
	case f.suite != "":
		s.Suite = f.suite
	case p.Expect.Suite != "":
		s.Suite = p.Expect.Suite
	}
	if _, err := schedule.Find(s.Suite); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	return nil
}

// target finds a cell's.
func (b *bench) target(c detect.Cell) *target {
	return &b.targets[slices.IndexFunc(b.targets, func(t target) bool { return t.subject.Name == c.Subject.Name })]
}

// runFlags are those of a run of a cell.
func (b *bench) runFlags(c detect.Cell, seed int64) *runFlags {
	f := &runFlags{
		machines: []string{c.Machine}, suite: c.Suite, seed: seed, duration: b.plan.Budget,
		tree: b.flags.tree, baseline: b.flags.baseline,
		accel: b.flags.accel, known: b.flags.known, rules: b.flags.rules, focus: b.flags.focus, cold: b.flags.cold || c.Cold, first: true,
	}
	t := b.target(c)
	f.features = slices.Compact(slices.Sorted(slices.Values(slices.Concat(b.flags.features, t.features))))
	if t.plant != "" {
		f.plants = []string{t.plant}
	} else {
		f.patches = []string{t.patch}
	}
	return f
}

// planRun is a checked run of a cell, whose files go to dir.
func (b *bench) planRun(c detect.Cell, seed int64, dir string) (*plan, error) {
	f := b.runFlags(c, seed)
	p := &plan{flags: f, seed: seed, duration: b.plan.Budget, dir: dir, known: b.known}
	p.known.set = p.known.set.Without(b.target(c).despite...)
	var err error
	if p.scenario, err = schedule.Find(c.Suite); err != nil {
		return nil, err
	}
	if p.machines, err = chosenMachines(f.machines); err != nil {
		return nil, err
	}
	if p.rules, p.widen, err = f.checker(); err != nil {
		return nil, err
	}
	if p.focus, err = f.places(); err != nil {
		return nil, err
	}
	p.source, err = f.source(true)
	return p, err
}

// prepareCell builds what a cell's runs boot.
func (a *app) prepareCell(ctx context.Context, p *plan) error {
	_, _, err := a.kernel(ctx, p, p.machines[0])
	return err
}

// tellCell says where a cell's runs look first, and what of it isn't there.
func (a *app) tellCell(ctx context.Context, p *plan) error {
	kernel, _, err := a.kernel(ctx, p, p.machines[0])
	if err != nil {
		return err
	}
	changed, err := a.changed(ctx, p)
	if err != nil {
		return err
	}
	return a.sayFocus(p, p.machines[0], kernel, changed)
}

// runCell does one run and judges it. It shows nothing by itself: several may
// be going on.
func (a *app) runCell(ctx context.Context, p *plan, c detect.Cell, dir string) (detect.Result, error) {
	silent := *a
	silent.ui = newUI(os.Stderr, false, false)
	silent.ui.quiet = true
	if err := silent.runMachine(ctx, p, p.machines[0]); err != nil {
		return detect.Result{}, err
	}
	m := p.report.Machines[0]
	return detect.NewResult(c, m.Case, m.Verdict, dir), nil
}
