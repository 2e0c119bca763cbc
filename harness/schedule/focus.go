// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"cmp"
	"slices"

	"plugstorm/harness/agent"
	"plugstorm/harness/focus"
	"plugstorm/harness/op"
)

// nearWeight is how much more often a lane draws what comes near a focus, by
// how near: often enough to be there early among twenty others, and not so often
// that those who collide with it are missing.
var nearWeight = [...]int{focus.Far: 1, focus.Directory: 2, focus.File: 4, focus.Function: 8}

// Of the workloads that a scenario draws, maxKept that call one of the functions
// themselves run all the time instead: a turn draws so few that even eight times as
// often may be never. They run as most of those do that scenarios name.
const (
	maxKept  = 2
	keptRate = 20 // rounds a second
)

// Toward is the scenario with those that come near some places of the kernel's
// source drawn more often, and of its parts those first that do (see Turn). It is
// the scenario itself if nothing of it comes near any of them. What a lane owns
// and the names of lanes stay, so a record can be replayed.
func (s *Scenario) Toward(places []focus.Place) *Scenario {
	if !s.nears(places).any() {
		return s
	}
	aimed := *s
	kept := map[string][]*agent.Workload{} // by part: those of parts are theirs to add
	aimed.Lanes = slices.Clone(s.Lanes)
	for i := range aimed.Lanes {
		lane := &aimed.Lanes[i]
		kept[lane.part] = lane.aim(places, kept[lane.part], s.always(lane.part))
	}
	aimed.Workloads = slices.Clone(s.Workloads)
	for _, w := range kept[""] {
		aimed.Workloads = append(aimed.Workloads, op.WorkloadStart{ID: "near-" + w.Name, Name: w.Name, Params: agent.Params{Rate: keptRate, Threads: 1}})
	}
	aimed.Parts, aimed.near = nil, nil
	for _, part := range s.Parts {
		part = part.Toward(places)
		aimed.Parts = append(aimed.Parts, part)
		aimed.near = append(aimed.near, part.nears(places))
	}
	return &aimed
}

// always names the workloads that run all the time, of the scenario or of one of its
// parts.
func (s *Scenario) always(part string) []string {
	for _, p := range s.Parts {
		if p.Name == part {
			return p.always("")
		}
	}
	var names []string
	for _, w := range s.Workloads {
		names = append(names, w.Name)
	}
	return names
}

// aim weighs what the lane draws by how near it comes, and takes out what is to run
// all the time: kept, to which it adds what doesn't so already.
func (l *Lane) aim(places []focus.Place, kept []*agent.Workload, always []string) []*agent.Workload {
	l.Mix = slices.Clone(l.Mix)
	for i, w := range l.Mix {
		l.Mix[i].Weight *= nearWeight[nearest(w.Kind.Touches, places)]
	}
	var drawn []*agent.Workload // evenly: one that stands there twice comes twice as often
	for _, w := range l.Workloads {
		near := nearest(w.Touches, places)
		if near == focus.Function && len(kept) < maxKept && !slices.Contains(kept, w) && !slices.Contains(always, w.Name) {
			kept = append(kept, w)
		}
		if !slices.Contains(kept, w) { // its module may bear no second one
			drawn = append(drawn, slices.Repeat([]*agent.Workload{w}, nearWeight[near])...)
		}
	}
	l.Workloads = drawn
	return kept
}

// nearest is how near the nearest of some places is.
func nearest(touches []string, places []focus.Place) focus.Nearness {
	found := focus.Far
	for _, p := range places {
		found = max(found, p.Near(touches))
	}
	return found
}

// nears estimates how often a scenario does something that comes near, by how
// near. A workload that runs all the time counts 1 for each place.
type nears focus.Counts

func (n *nears) add(touches []string, places []focus.Place, share float64) {
	for _, p := range places {
		n[p.Near(touches)] += share
	}
}

// any reports whether anything comes near.
func (n nears) any() bool {
	return slices.ContainsFunc(n[focus.Directory:], func(share float64) bool { return share > 0 })
}

// compare orders by what comes nearest: how often something runs the function
// itself says more than how often its file is visited.
func (n nears) compare(o nears) int {
	for near := focus.Function; near > focus.Far; near-- {
		if c := cmp.Compare(n[near], o[near]); c != 0 {
			return c
		}
	}
	return 0
}

// nears is that of the scenario. For one that is made of parts it only tells
// whether anything comes near.
func (s *Scenario) nears(places []focus.Place) nears {
	var n nears
	for _, part := range s.Parts {
		for _, w := range part.Workloads {
			n.add(touchesOf(w), places, 1)
		}
	}
	for _, w := range s.Workloads {
		n.add(touchesOf(w), places, 1)
	}
	for _, lane := range s.Lanes {
		lane.addNears(&n, places)
	}
	return n
}

// addNears counts what a lane draws, as a share of its steps that is the smaller
// the longer it pauses between them.
func (l *Lane) addNears(n *nears, places []focus.Place) {
	total := 0
	for _, w := range l.Mix {
		total += w.Weight
	}
	often := float64(stepTime) / float64(stepTime+l.Gap)
	for _, w := range l.Mix {
		share := often * float64(w.Weight) / float64(total)
		n.add(w.Kind.Touches, places, share)
		if w.Kind == op.WorkloadStartOp {
			for _, drawn := range l.Workloads {
				n.add(drawn.Touches, places, share*float64(max(1, l.AtOnce))/float64(len(l.Workloads)))
			}
		}
	}
}

// touchesOf is what a workload that runs all the time touches.
func touchesOf(w op.WorkloadStart) []string {
	workload, err := agent.Workloads.Get(w.Name)
	if err != nil {
		return nil // the agent will say so
	}
	return workload.Touches
}
