// SPDX-License-Identifier: Apache-2.0

// Package overlap counts which ops of a run were really under way at the same
// time: what a storm is for. It is pure: the events of a history in, a table
// out, one event after the other, in memory that doesn't grow with them.
package overlap

import (
	"time"

	"plugstorm/harness/schedule"
)

// A Pair is two kinds of op, in alphabetical order; they may be the same one.
type Pair [2]string

func pairOf(a, b string) Pair {
	if b < a {
		a, b = b, a
	}
	return Pair{a, b}
}

// A Count says how often, and for how long in all, two things were under way
// at the same time.
type Count struct {
	Count int           `json:"count"`
	Time  time.Duration `json:"time_ns"`
}

// A PairCount is the overlaps of a pair of kinds.
type PairCount struct {
	Pair Pair `json:"pair"`
	Count
}

// A WorkloadCount is the overlaps of ops of a kind with a workload in the
// guest.
type WorkloadCount struct {
	Kind     string `json:"kind"`
	Workload string `json:"workload"`
	Count
}

// A Table is what overlapped in a run. Two steps overlap if they are of
// different lanes of one guest and one begins before the other has ended, from
// the writing of step-begin to that of step-end.
type Table struct {
	Storm time.Duration `json:"storm_ns"` // the guests' time from their agent's hello to their last step's end
	Count int           `json:"count"`    // overlaps of two steps
	Close int           `json:"close"`    // of those, how many of steps that began within CloseTo of each other
	Pairs []PairCount   `json:"pairs"`    // the most frequent first
	Never []Pair        `json:"never"`    // two lanes could have done these at the same time, and never did

	// PairSeconds adds up, over the pairs, the seconds of the run in which they
	// overlapped at some time. By Storm, it is how many different pairs overlap in
	// a second on average.
	PairSeconds int `json:"pair_seconds"`

	Meets Meets `json:"meets"`

	Workloads []WorkloadCount `json:"workloads"` // by kind, the most frequent first
}

// Meets are what came of the schedule's meetings (schedule.Meet).
type Meets struct {
	Planned    int `json:"planned"`    // steps that were to begin with one of another lane
	Met        int `json:"met"`        // of those, did
	Overlapped int `json:"overlapped"` // of those, were under way at the same time as that one
}

// CloseTo is how near each other two steps begin that begin together: what an
// op does first, it mostly does within that.
const CloseTo = 10 * time.Millisecond

// PerSecond is how many overlaps of two steps there were in a second, 0 if
// nothing is known.
func (t *Table) PerSecond() float64 { return t.per(t.Count) }

// PairsPerSecond is how many different pairs of kinds overlapped in a second.
func (t *Table) PairsPerSecond() float64 { return t.per(t.PairSeconds) }

func (t *Table) per(n int) float64 {
	if t.Storm <= 0 {
		return 0
	}
	return float64(n) / t.Storm.Seconds()
}

// possible lists the pairs that two lanes of one part can do.
func possible(lanes []schedule.LaneKinds) map[Pair]bool {
	pairs := map[Pair]bool{}
	for i, a := range lanes {
		for _, b := range lanes[:i] {
			if a.Part != b.Part {
				continue
			}
			for _, kind := range a.Kinds {
				for _, other := range b.Kinds {
					pairs[pairOf(kind, other)] = true
				}
			}
		}
	}
	return pairs
}
