// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"plugstorm/harness/blame"
	"plugstorm/harness/focus"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
	"plugstorm/images"
)

// noFocus is the --focus that switches it off.
const noFocus = "none"

// focusFlag defines --focus.
func focusFlag(flags *pflag.FlagSet, to *[]string) {
	flags.StringSliceVar(to, "focus", nil, "where in the kernel's source to look first, separated by commas: FILE, DIRECTORY/, FUNCTION or FILE:FUNCTION; "+
		"'"+noFocus+"' for nowhere (default what --patch changes, and --plant with a suite made of several)")
}

// places reads --focus; nil if it isn't given, or none.
func (f *runFlags) places() ([]focus.Place, error) {
	if f.unfocused() {
		return nil, nil
	}
	if slices.Contains(f.focus, noFocus) {
		return nil, blame.Errorf(blame.User, "see plugstorm run --help", "--focus %s goes with nothing else", noFocus)
	}
	return focus.ParseAll(f.focus)
}

// unfocused reports whether --focus is none.
func (f *runFlags) unfocused() bool { return len(f.focus) == 1 && f.focus[0] == noFocus }

// changed lists what a run's patches and plants change, or a replay's record says
// that they did.
func (a *app) changed(ctx context.Context, p *plan) ([]focus.Place, error) {
	if p.replays != nil {
		return p.changed, nil
	}
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	changes, err := store.Changes(ctx, p.source)
	a.ui.close()
	return placesOf(changes), err
}

// toward is what a run's steps and turns are drawn toward: what --focus names, or a
// replay's record, or what is changed. Plants alone count with a suite that is made
// of others only: what hunts one by its header is chosen already.
func (p *plan) toward(changed []focus.Place) []focus.Place {
	switch {
	case p.replays != nil || len(p.flags.focus) > 0:
		return p.focus
	case len(p.scenario.Parts) == 0 && len(p.source.Patches) == 0:
		return nil
	}
	return changed
}

// placesOf names changes as places.
func placesOf(changes []images.Change) []focus.Place {
	var places []focus.Place
	for _, c := range changes {
		// What the checker of places doesn't take is no name that ours could have.
		if p, err := focus.Parse(focus.Place{File: c.File, Func: c.Func}.String()); err == nil {
			places = append(places, p)
		}
	}
	return places
}

// shownPlaces bounds how many places, or suites, a line names.
const shownPlaces = 4

// sayFocus says where a run of a machine looks first, with what it begins for that,
// and what of it the kernel doesn't have.
func (a *app) sayFocus(p *plan, m *vm.Machine, kernel *images.Kernel, changed []focus.Place) error {
	plain, places := p.scenario.For(kernel.Prebuilt), p.toward(changed)
	if len(places) > 0 {
		a.ui.Line(m.Name + ": " + lookFirst(places, plain, p.seed))
	}
	return a.sayAbsent(m, kernel, changed)
}

// lookFirst says in which order a suite comes to places.
func lookFirst(places []focus.Place, plain *schedule.Scenario, seed int64) string {
	var names, first []string
	for _, p := range places {
		names = append(names, p.String())
	}
	where, aimed := few(names), plain.Toward(places)
	if aimed == plain {
		return fmt.Sprintf("nothing in suite %s is known to come near %s: it runs as without a focus", plain.Name, where)
	}
	for n := range aimed.Parts {
		if name := aimed.Turn(seed, n+1).Part.Name; !slices.Contains(first, name) {
			first = append(first, name)
		}
	}
	if len(first) > 0 {
		where += ", in the order " + few(first)
	}
	return "looks first at " + where
}

// few names the first ones of a list.
func few(names []string) string {
	if len(names) > shownPlaces {
		names = append(slices.Clone(names[:shownPlaces]), fmt.Sprintf("%d more", len(names)-shownPlaces))
	}
	return strings.Join(names, ", ")
}
