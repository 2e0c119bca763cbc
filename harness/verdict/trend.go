// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"slices"
	"time"

	"plugstorm/harness/history"
)

// A Trend holds the first third of a run against its last one: did it slow down,
// did what runs it grow?
type Trend struct {
	First Third `json:"first"`
	Last  Third `json:"last"`
}

// A Third is what went on in a third of the time from the moment when the first
// guest was up to the end of the last step.
type Third struct {
	PerMinute  float64 `json:"ops_per_minute"`             // finished steps
	Controller int64   `json:"controller_bytes,omitempty"` // the most memory that the controller was seen to have; 0: unknown
	CPUs       float64 `json:"controller_cpus,omitempty"`  // CPU time that it took in a second, in seconds; 0: unknown
}

// PerOp is the controller's CPU time for a finished step; 0 if it is unknown.
func (t Third) PerOp() time.Duration {
	if t.PerMinute <= 0 {
		return 0
	}
	return time.Duration(t.CPUs / t.PerMinute * float64(time.Minute))
}

// trendLength is how long a run has to be for a trend: in less than a minute of a
// storm some of its lanes do nothing.
const trendLength = 3 * time.Minute

// A trendTrace collects what a trend is made of.
type trendTrace struct {
	ends  []time.Duration // of finished steps, since the start of the run
	looks []look
}

// A look is what the controller had at a moment.
type look struct {
	at, cpu time.Duration
	bytes   int64
}

// event takes an event of type Host in. Old records don't speak of the controller.
func (t *trendTrace) event(e history.Event) {
	if e.Controller > 0 {
		t.looks = append(t.looks, look{e.At, e.ControllerCPU, e.Controller})
	}
}

// trend compares the thirds of what came after the first guest was up; nil if
// that was too short.
func (t *trendTrace) trend(up time.Duration) *Trend {
	var end time.Duration
	for _, at := range t.ends {
		end = max(end, at)
	}
	if up == 0 || end-up < trendLength {
		return nil
	}
	third := (end - up) / 3
	return &Trend{First: t.between(up, up+third), Last: t.between(end-third, end)}
}

// between is what went on from one moment to another.
func (t *trendTrace) between(from, to time.Duration) Third {
	inside := func(at time.Duration) bool { return from <= at && at <= to }
	var sum Third
	for _, at := range t.ends {
		if inside(at) {
			sum.PerMinute += 1 / (to - from).Minutes()
		}
	}
	looks := slices.DeleteFunc(slices.Clone(t.looks), func(l look) bool { return !inside(l.at) })
	for _, l := range looks {
		sum.Controller = max(sum.Controller, l.bytes)
	}
	if len(looks) > 0 {
		first, last := looks[0], looks[len(looks)-1]
		if last.at > first.at {
			sum.CPUs = max(0, (last.cpu-first.cpu).Seconds()/(last.at-first.at).Seconds())
		}
	}
	return sum
}

// joinTrends adds the thirds of all slots up, each of its own time. They have one
// controller.
func joinTrends(parts []Part) *Trend {
	var all *Trend
	for _, p := range parts {
		t := p.Verdict.Trend
		if t == nil {
			continue
		}
		if all == nil {
			all = &Trend{}
		}
		all.First.add(t.First)
		all.Last.add(t.Last)
	}
	return all
}

func (t *Third) add(slot Third) {
	t.PerMinute += slot.PerMinute
	t.Controller, t.CPUs = max(t.Controller, slot.Controller), max(t.CPUs, slot.CPUs)
}
