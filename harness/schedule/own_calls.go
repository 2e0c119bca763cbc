// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"slices"

	"plugstorm/harness/calls"
	"plugstorm/harness/focus"
	"plugstorm/harness/op"
)

// Failing is the scenario with sites of its own (calls.Own): its ops that have calls
// fail have those fail, too, in every lane that could do such an op, and in finales
// the ops come more often that come near places. Without sites it is the scenario
// itself.
func (s *Scenario) Failing(sites []calls.Site, places []focus.Place) *Scenario {
	if len(sites) == 0 {
		return s
	}
	failing := *s
	failing.sites = inCourse(sites, places)
	failing.Finale = s.Finale.toward(places)
	failing.Lanes = slices.Clone(s.Lanes)
	for i := range failing.Lanes {
		failing.Lanes[i].Mix = s.withFailing(failing.Lanes[i])
	}
	failing.Parts = nil
	for _, part := range s.Parts {
		failing.Parts = append(failing.Parts, part.Failing(sites, places))
	}
	return &failing
}

// inCourse says in the course of what each site may fail: where its caller's file is
// touched, if that is known of any course, else everywhere.
func inCourse(sites []calls.Site, places []focus.Place) []calls.Site {
	sites = slices.Clone(sites)
	for i := range sites {
		caller := sites[i].Caller()
		var near []string
		for _, course := range calls.Ops {
			if slices.ContainsFunc(places, func(p focus.Place) bool { return p.Func == caller && p.Near(op.CourseTouches(course)) >= focus.File }) {
				near = append(near, course)
			}
		}
		if sites[i].Ops = near; len(near) == 0 {
			sites[i].Ops = calls.Ops
		}
	}
	return sites
}

// withFailing is a lane's mix with what has calls fail beside its other ops: as often
// as what it is beside. Where several lanes do that, a call would fail for any of
// them, and a machine need not say so: then it isn't added.
func (s *Scenario) withFailing(lane Lane) []Weight {
	all := slices.Clone(lane.Mix)
	for _, kind := range op.Kinds.All() {
		if kind.Beside == nil || weightOf(lane.Mix, kind) > 0 || weightOf(lane.Mix, kind.Beside) == 0 {
			continue
		}
		alone := !slices.ContainsFunc(s.Lanes, func(l Lane) bool {
			return l.Name != lane.Name && l.part == lane.part && weightOf(l.Mix, kind.Beside) > 0
		})
		if alone {
			all = append(all, Weight{kind, weightOf(lane.Mix, kind.Beside)})
		}
	}
	return all
}

// weightOf is that of a kind in a mix, 0 if it isn't there.
func weightOf(mix []Weight, kind *op.Kind) int {
	for _, w := range mix {
		if w.Kind == kind {
			return w.Weight
		}
	}
	return 0
}

// toward is the finale with what has calls fail drawn more often the nearer it comes
// to places.
func (f *Finale) toward(places []focus.Place) *Finale {
	if f == nil {
		return nil
	}
	aimed := *f
	aimed.Mix = slices.Clone(f.Mix)
	for i, w := range aimed.Mix {
		if w.Kind.Beside != nil {
			aimed.Mix[i].Weight *= nearWeight[nearest(w.Kind.Touches, places)]
		}
	}
	return &aimed
}
