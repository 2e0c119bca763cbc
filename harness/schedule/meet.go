// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/harness/op"
	"plugstorm/harness/vm"
)

// A Meet has a step begin together with a step of another lane: the one that
// this lane begins next, or the one that it is at. What is drawn is with whom,
// and how far apart; which step it turns out to be is up to the guest. The run
// records that, and how far apart they really began, and a replay repeats it.
//
// A lane meets only lanes that come at least as often as itself, so that nobody
// waits for a slow one.
type Meet struct {
	Lane string `json:"lane"` // the other one

	// Offset is from the other step's begin to this one's; if it is negative, this
	// one begins first. As drawn it is without what Slide adds.
	Offset time.Duration `json:"offset_ns"`

	// Slide adds a share of what the two steps usually take, see Apart. It slides
	// from one meeting of two lanes to the next. 0 for nothing.
	Slide float64 `json:"slide,omitempty"`

	Step   *int `json:"step,omitempty"`   // recorded: the index of the step that was met; nil if none came in time
	Joined bool `json:"joined,omitempty"` // recorded: that step had begun, or was about to, before this one wanted to
}

// Bounds of meetings.
const (
	meetJitter = 3 * time.Millisecond   // of a drawn offset
	meetAhead  = 200 * time.Millisecond // by which a slide has a step begin before the other, at most: that is held up meanwhile
	meetBehind = 2 * time.Second        // and after it: this one rests meanwhile

	// MaxOffset bounds a recorded offset: no op takes as long, however slow its
	// guest.
	MaxOffset = time.Hour
)

// golden is the golden ratio's fraction: its multiples, modulo 1, spread
// evenly, however many there are.
var golden = (math.Sqrt(5) - 1) / 2

// Apart is how far from the other's begin a step is to begin, given what its
// own op and the other usually take; 0 if nobody knows yet. Over its meetings
// it slides from where this op ends as the other begins (though not more than
// meetAhead) to where this one begins as the other ends (or meetBehind).
func (m *Meet) Apart(own, other time.Duration) time.Duration {
	if m.Slide == 0 {
		return m.Offset
	}
	ahead, behind := min(own, meetAhead), min(other, meetBehind)
	return m.Offset + (time.Duration(m.Slide*float64(ahead+behind)) - ahead).Truncate(time.Microsecond)
}

// meetings draws a lane's meetings. Its randomness is its own: with meetings
// or without, a seed gives the same ops.
type meetings struct {
	percent int      // of the steps
	with    []string // lanes; none: no meetings
	slides  []float64
	rand    *rand.Rand
}

// meetingsOf are those of lane number i.
func meetingsOf(s *Scenario, i int, seed int64) meetings {
	lane := s.Lanes[i]
	m := meetings{percent: s.Meet, rand: laneRand(seed, "meet "+lane.Name)}
	for _, part := range s.Parts {
		if part.Name == lane.part {
			m.percent = part.Meet
		}
	}
	for j, other := range s.Lanes {
		if other.part == lane.part && (other.Gap < lane.Gap || other.Gap == lane.Gap && j < i) {
			m.with = append(m.with, other.Name)
			m.slides = append(m.slides, m.rand.Float64())
		}
	}
	return m
}

// draw draws whether and how a step meets another: every other time with a
// slide.
func (m *meetings) draw() *Meet {
	if len(m.with) == 0 || m.rand.IntN(100) >= m.percent {
		return nil
	}
	i := m.rand.IntN(len(m.with))
	meet := &Meet{Lane: m.with[i], Offset: time.Duration((2*m.rand.Float64() - 1) * float64(meetJitter)).Truncate(time.Microsecond)}
	if m.rand.IntN(2) == 0 {
		_, m.slides[i] = math.Modf(m.slides[i] + golden)
		meet.Slide = 1 - m.slides[i]
	}
	return meet
}

// A Caller is a step that is to meet another.
type Caller struct {
	Lane  string
	Index int
}

// callers names all steps of a schedule.
func callers(steps []Step) map[Caller]bool {
	all := map[Caller]bool{}
	for _, step := range steps {
		all[Caller{step.Lane, step.Index}] = true
	}
	return all
}

// recordedMeet is a meeting as a replay repeats it: nil of a step that met
// nobody, or one that has been cut out since. What was measured for its slide
// is in its offset.
func recordedMeet(m *Meet, there map[Caller]bool) *Meet {
	if m == nil || m.Step == nil || !there[Caller{m.Lane, *m.Step}] {
		return nil
	}
	again := *m
	again.Slide = 0
	return &again
}

// expect has the sequences of a replay know who is to meet their steps.
func expect(byLane map[string]*Sequence, step Step) error {
	m := step.Meet
	if m == nil {
		return nil
	}
	other := byLane[m.Lane]
	switch {
	case other == nil || m.Lane == step.Lane:
		return blame.Errorf(blame.User, "mend the schedule", "step %d of lane %s is to meet lane %q", step.Index, step.Lane, m.Lane)
	case m.Offset < -MaxOffset || m.Offset > MaxOffset:
		return blame.Errorf(blame.User, "mend the schedule", "step %d of lane %s is to begin %s from another; at most %s make sense", step.Index, step.Lane, m.Offset, MaxOffset)
	case !m.Joined:
		other.callers[*m.Step] = append(other.callers[*m.Step], Caller{step.Lane, step.Index})
	}
	return nil
}

// Callers lists the steps that wait, in the recorded run, for the step that
// Next returned. There are none in a sequence that is drawn, nor those that have
// been cut out of a recorded one.
func (q *Sequence) Callers() []Caller {
	if q.next == nil {
		return nil
	}
	return q.callers[q.next.Index]
}

// LaneKinds are the kinds of op that a lane can do.
type LaneKinds struct {
	Lane  string   `json:"lane"`
	Part  string   `json:"part,omitempty"` // which of the suites that the suite is made of
	Kinds []string `json:"kinds"`
}

// kindDraws is how many steps of a lane are drawn to see what it can do.
const kindDraws = 256

// Kinds lists what each lane of a scenario can do on a machine, or does in a
// recorded schedule if there is one.
func Kinds(s *Scenario, m *vm.Machine, b vm.Budget, recorded []Step) []LaneKinds {
	all := Sequences(s, m, b, 0)
	lanes := make([]LaneKinds, len(all))
	byLane := map[string]*LaneKinds{}
	for i, q := range all {
		lanes[i] = LaneKinds{Lane: q.lane.Name, Part: q.lane.part, Kinds: []string{}}
		byLane[q.lane.Name] = &lanes[i]
		if recorded == nil {
			q.walk(lanes[i].add)
		}
	}
	for _, step := range recorded {
		if l := byLane[step.Lane]; l != nil {
			l.add(step.Op.Kind)
		}
	}
	return lanes
}

func (l *LaneKinds) add(kind *op.Kind) {
	if !slices.Contains(l.Kinds, kind.Name) {
		l.Kinds = append(l.Kinds, kind.Name)
	}
}

// walk tells of every kind that fits on the way through some steps.
func (q *Sequence) walk(fits func(*op.Kind)) {
	for range kindDraws {
		for _, candidate := range q.possible() {
			fits(candidate.spec.Kind)
		}
		if _, ok := q.Next(); !ok {
			return
		}
		q.Begin()
	}
}
