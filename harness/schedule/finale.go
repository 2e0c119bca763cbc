// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"plugstorm/harness/agent"
	"plugstorm/harness/op"
)

// A Finale is how a guest's turn ends: a few ops fail, one after the other, and
// nothing succeeds after them. What an error path leaves behind (a lock, a flag,
// a reference) the next success often hides or heals, and a lane that goes on
// always has one.
type Finale struct {
	Steps int                // failing ones, at most; each kind once
	Mix   []Weight           // of kinds that have something fail (op.Kind.Fails), in the order in which they are done: what may succeed first
	Users []op.WorkloadStart // run meanwhile, when all other workloads have been stopped: who would notice
}

// FinaleLane is the lane that the steps of finales are recorded on. None of a
// scenario's has its name.
const FinaleLane = "finale"

// FinaleOf draws the finale of guest number n, from 1, from the seed and from
// what is plugged and online: look has a lane's state say so, which otherwise is
// what the lane believes. autoOnline says whether the guest brings new memory
// online by itself. The lanes go on, in the next guest, as if there had been none.
func FinaleOf(s *Scenario, lanes []*Sequence, seed int64, n int, autoOnline bool, look func(*op.State)) []Step {
	if s.Finale == nil {
		return nil
	}
	r := laneRand(seed, fmt.Sprintf("%s %d", FinaleLane, n))
	var states []*op.State
	for _, q := range lanes {
		aside := q.state.Aside()
		look(aside)
		states = append(states, aside)
	}
	specs := append(firstDIMM(r, states, autoOnline), s.Finale.draw(r, states)...)
	steps := make([]Step, len(specs))
	for i, spec := range specs {
		steps[i] = Step{Lane: FinaleLane, Index: i, Finale: n, Op: spec}
	}
	return steps
}

// draw draws the failing ops, and puts them into the order of the mix.
func (f *Finale) draw(r *rand.Rand, states []*op.State) []op.Spec {
	drawn := map[*op.Kind]op.Op{}
	left := slices.Clone(f.Mix)
	for len(drawn) < f.Steps && len(left) > 0 {
		i := pickWeight(r, left)
		if o := drawFrom(r, left[i].Kind, states); o != nil {
			drawn[left[i].Kind] = o
		}
		left = slices.Delete(left, i, i+1)
	}
	var specs []op.Spec
	for _, w := range f.Mix {
		if o := drawn[w.Kind]; o != nil {
			specs = append(specs, op.Spec{Kind: w.Kind, Op: o})
		}
	}
	return specs
}

// firstDIMM plugs a DIMM if no lane has one: most of what fails is about its
// blocks.
func firstDIMM(r *rand.Rand, states []*op.State, autoOnline bool) []op.Spec {
	if slices.ContainsFunc(states, func(s *op.State) bool { return len(s.DIMMs) > 0 }) {
		return nil
	}
	for _, s := range states {
		if o := op.DIMMAdd.Draw(r, s); o != nil {
			o.Apply(s)
			if !autoOnline {
				s.AllOffline()
			}
			return []op.Spec{{Kind: op.DIMMAdd, Op: o}}
		}
	}
	return nil
}

// drawFrom draws an op of a kind for the first lane that has what it takes.
func drawFrom(r *rand.Rand, kind *op.Kind, states []*op.State) op.Op {
	for _, s := range states {
		if o := kind.Draw(r, s); o != nil {
			return o
		}
	}
	return nil
}

func pickWeight(r *rand.Rand, from []Weight) int {
	total := 0
	for _, w := range from {
		total += w.Weight
	}
	n := r.IntN(total)
	return slices.IndexFunc(from, func(w Weight) bool { n -= w.Weight; return n < 0 })
}

// RecordedFinale lists the steps of a recorded schedule that were the finale of
// guest number n.
func RecordedFinale(steps []Step, n int) []Step {
	return slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return !s.OfFinale() || s.Finale != n })
}

// OfFinale reports whether a step is one of a finale.
func (s Step) OfFinale() bool { return s.Lane == FinaleLane }

// Leaves reports whether a step leaves its guest where something has failed,
// instead of doing it for good: see op.FailsAtFirst.
func (s Step) Leaves() bool { return s.OfFinale() && s.Op.Kind.Fails == op.FailsAtFirst }

// prebuilt is the finale without users that need modules of ours.
func (f *Finale) prebuilt() *Finale {
	if f == nil {
		return nil
	}
	fit := *f
	fit.Users = withoutModules(f.Users)
	return &fit
}

// withoutModules are those workloads that need no modules of ours.
func withoutModules(all []op.WorkloadStart) []op.WorkloadStart {
	return slices.DeleteFunc(slices.Clone(all), func(w op.WorkloadStart) bool {
		workload, err := agent.Workloads.Get(w.Name)
		return err != nil || len(workload.Modules) > 0
	})
}
