// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"slices"
	"sync"
	"time"

	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
)

// How long a step waits for the one that it is to meet, stretched by slowness.
// Of a recorded meeting it is known that it came about, and in a replay lanes
// drift apart until they meet.
const (
	meetLimit   = 500 * time.Millisecond
	replayLimit = 30 * time.Second
)

// A floor is where the lanes of one guest meet (schedule.Meet). It is safe for
// concurrent use.
type floor struct {
	usual   *durations
	mu      sync.Mutex
	spots   map[string]*spot
	changed chan struct{} // closed, and made anew, when a lane comes, begins or ends
}

// A spot is where a lane is.
type spot struct {
	begun   bool      // a step has
	index   int       // of the step that it is at, or was last
	kind    string    // of that
	at      time.Time // when that one begins or began
	over    bool      // and it is over
	left    bool      // nothing more comes
	callers []*call   // who wait for its next step
}

// A call is a step that waits for one of another lane.
type call struct {
	step   schedule.Step
	answer chan meeting // capacity 1
}

// A meeting is what came of a call.
type meeting struct {
	at   time.Time // when the caller is to begin
	meet *schedule.Meet
}

func newFloor(lanes []*schedule.Sequence, usual *durations) *floor {
	f := &floor{usual: usual, spots: map[string]*spot{}, changed: make(chan struct{})}
	for _, lane := range lanes {
		f.spots[lane.Lane()] = &spot{}
	}
	return f
}

// enter waits until a step may begin, and says how it met the one that it was
// to meet. The lane that it belongs to calls enter, does the step and calls
// leave. callers are steps of other lanes that are known to come. It reports
// false if ctx ended first.
func (f *floor) enter(ctx context.Context, step schedule.Step, callers []schedule.Caller, patience func(time.Duration) time.Duration) (*schedule.Meet, bool) {
	own := meeting{at: time.Now()}
	if step.Meet != nil {
		limit := meetLimit
		if step.Meet.Step != nil {
			limit = replayLimit
		}
		own = f.call(ctx, step, patience(limit))
	}
	if len(callers) > 0 {
		f.expect(ctx, callers, patience(replayLimit))
		own.at = latest(own.at, time.Now())
	}
	at := f.begin(step, own)
	return own.meet, op.Pause(ctx, time.Until(at))
}

// leave says that a lane's step is over, and whether it was the last one.
func (f *floor) leave(lane string, last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.spots[lane]
	s.over, s.left = true, last
	if last {
		for _, c := range s.callers {
			c.answer <- c.alone()
		}
		s.callers = nil
	}
	f.tell()
}

func (f *floor) tell() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// call waits until another lane is where a step is to meet it.
func (f *floor) call(ctx context.Context, step schedule.Step, limit time.Duration) meeting {
	c := &call{step: step, answer: make(chan meeting, 1)}
	f.mu.Lock()
	other := f.spots[step.Meet.Lane]
	m, now := f.join(c, other)
	if !now {
		other.callers = append(other.callers, c)
		f.tell()
	}
	f.mu.Unlock()
	if now {
		return m
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case m := <-c.answer:
		return m
	case <-timer.C:
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	other.callers = slices.DeleteFunc(other.callers, func(x *call) bool { return x == c })
	select {
	case m := <-c.answer: // just in time
		return m
	default:
	}
	if other.underWay() && c.wants(other.index) {
		return f.meeting(c, other, true) // at another point than was meant
	}
	return c.alone()
}

func (s *spot) underWay() bool { return s.begun && !s.over }

// alone is what comes of a call that nobody answers.
func (c *call) alone() meeting {
	meet := *c.step.Meet
	meet.Step, meet.Joined = nil, false
	return meeting{at: time.Now(), meet: &meet}
}

// join answers a call at once, if there is no use in waiting or no need to: the
// step that the other lane is at will do if it is the recorded one, if it isn't
// too late for the offset, and for every slide that doesn't begin ahead. A lane
// that waits collides with nobody.
func (f *floor) join(c *call, other *spot) (meeting, bool) {
	want := c.step.Meet.Step
	switch {
	case other == nil:
		return c.alone(), true
	case want != nil && other.begun && other.index >= *want:
		if other.index > *want {
			return c.alone(), true
		}
		return f.meeting(c, other, true), true
	case other.left:
		return c.alone(), true
	case want != nil || !other.underWay():
		return meeting{}, false
	}
	apart := f.apart(c, other.kind)
	slides := c.step.Meet.Slide > 0 && apart >= 0
	return f.meeting(c, other, true), slides || time.Until(other.at) > -apart
}

// meeting is how a call and the step that the other lane is at come together.
func (f *floor) meeting(c *call, other *spot, joined bool) meeting {
	meet := *c.step.Meet
	index := other.index
	meet.Offset = f.apart(c, other.kind)
	meet.Step, meet.Joined = &index, joined
	if late := time.Since(other.at); late > meet.Offset || other.over {
		meet.Offset = late // the other one doesn't wait, or took longer when it was recorded
	}
	return meeting{at: other.at.Add(meet.Offset), meet: &meet}
}

// apart is how far from a step of a kind a caller begins.
func (f *floor) apart(c *call, kind string) time.Duration {
	return c.step.Meet.Apart(f.usual.of(c.step.Op.Kind.Name), f.usual.of(kind))
}

// expect waits until all callers are there, or can't come any more.
func (f *floor) expect(ctx context.Context, callers []schedule.Caller, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		f.mu.Lock()
		missing := slices.ContainsFunc(callers, f.comes)
		changed := f.changed
		f.mu.Unlock()
		if !missing {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// comes reports whether a caller is still on its way.
func (f *floor) comes(c schedule.Caller) bool {
	s := f.spots[c.Lane]
	if s == nil || s.left || s.begun && s.index >= c.Index {
		return false
	}
	for _, other := range f.spots {
		if slices.ContainsFunc(other.callers, func(x *call) bool { return x.step.Lane == c.Lane && x.step.Index == c.Index }) {
			return false
		}
	}
	return true
}

// begin notes when a step begins and answers those who have waited for it.
// Callers that are to begin before it hold it up, unless it has met another one
// itself: then they just begin.
func (f *floor) begin(step schedule.Step, own meeting) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.spots[step.Lane]
	*s = spot{begun: true, index: step.Index, kind: step.Op.Kind.Name, at: own.at, callers: s.callers}
	if own.meet == nil || own.meet.Step == nil {
		for _, c := range s.callers {
			if c.wants(step.Index) {
				s.at = latest(s.at, own.at.Add(-f.apart(c, s.kind)))
			}
		}
	}
	s.callers = slices.DeleteFunc(s.callers, func(c *call) bool {
		if c.wants(step.Index) {
			c.answer <- f.meeting(c, s, false)
			return true
		}
		return false
	})
	f.tell()
	return s.at
}

// wants reports whether a call is for a step of this index.
func (c *call) wants(index int) bool { return c.step.Meet.Step == nil || *c.step.Meet.Step == index }

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// durations are what ops of each kind have usually taken in this run. It is
// safe for concurrent use.
type durations struct {
	mu    sync.Mutex
	usual map[string]time.Duration
}

// memory is over how many ops the usual duration forgets.
const memory = 4

func (d *durations) add(kind *op.Kind, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.usual == nil {
		d.usual = map[string]time.Duration{}
	}
	if usual, ok := d.usual[kind.Name]; ok {
		took = usual + (took-usual)/memory
	}
	d.usual[kind.Name] = took
}

// of is 0 if nobody knows.
func (d *durations) of(kind string) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.usual[kind]
}
