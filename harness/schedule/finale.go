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

// A FinaleDraw draws the steps of one guest's finale, each when its turn has come.
type FinaleDraw struct {
	lanes []*Sequence
	guest int
	rand  *rand.Rand
	kinds []*op.Kind // to come
	index int        // of the next step
	freed bool       // a vCPU has been unplugged
}

// NewFinale begins the finale of guest number n, from 1. Which kinds it has, the
// seed and the guest's number say alone. The lanes go on, in the next guest, as if
// there had been none.
func NewFinale(s *Scenario, lanes []*Sequence, seed int64, n int) *FinaleDraw {
	d := &FinaleDraw{lanes: lanes, guest: n, rand: laneRand(seed, fmt.Sprintf("%s %d", FinaleLane, n))}
	if s.Finale != nil {
		d.kinds = s.Finale.draw(d.rand)
	}
	return d
}

// Next draws the next step from what is plugged and online now: look has a lane's
// state say so, which otherwise is what the lane believes. A kind
// of which nothing can be done is left out; ok is false when all have been.
func (d *FinaleDraw) Next(look func(*op.State)) (step Step, ok bool) {
	if len(d.kinds) == 0 {
		return Step{}, false
	}
	var states []*op.State
	for _, q := range d.lanes {
		aside := q.state.Aside()
		look(aside)
		states = append(states, aside)
	}
	if d.index == 0 {
		if o := firstDIMM(d.rand, states); o != nil {
			return d.step(op.DIMMAdd, o), true
		}
	}
	for len(d.kinds) > 0 {
		kind := d.kinds[0]
		if o := d.freeVCPU(kind, states); o != nil {
			return d.step(op.VCPURemove, o), true
		}
		d.kinds = d.kinds[1:]
		if o := drawFrom(d.rand, kind, states); o != nil {
			return d.step(kind, o), true
		}
	}
	return Step{}, false
}

func (d *FinaleDraw) step(kind *op.Kind, o op.Op) Step {
	step := Step{Lane: FinaleLane, Index: d.index, Finale: d.guest, Op: op.Spec{Kind: kind, Op: o}}
	d.index++
	return step
}

// draw draws the kinds, and puts them into the order of the mix.
func (f *Finale) draw(r *rand.Rand) []*op.Kind {
	left := slices.Clone(f.Mix)
	for len(left) > 0 && len(f.Mix)-len(left) < f.Steps {
		i := pickWeight(r, len(left), func(i int) int { return left[i].Weight })
		left = slices.Delete(left, i, i+1)
	}
	var kinds []*op.Kind
	for _, w := range f.Mix {
		if !slices.Contains(left, w) {
			kinds = append(kinds, w.Kind)
		}
	}
	return kinds
}

// firstDIMM plugs a DIMM if no lane has one: most of what fails is about its
// blocks.
func firstDIMM(r *rand.Rand, states []*op.State) op.Op {
	if slices.ContainsFunc(states, func(s *op.State) bool { return len(s.DIMMs) > 0 }) {
		return nil
	}
	return drawFrom(r, op.DIMMAdd, states)
}

// freeVCPU unplugs a vCPU, once, for a kind that plugs one if all are there.
func (d *FinaleDraw) freeVCPU(kind *op.Kind, states []*op.State) op.Op {
	if kind.Beside != op.VCPUAdd || d.freed || drawFrom(d.rand, op.VCPUAdd, states) != nil {
		return nil
	}
	d.freed = true
	return drawFrom(d.rand, op.VCPURemove, states)
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
