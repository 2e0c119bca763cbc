// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"math"
	"testing"
	"time"

	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/verdict"
)

// long is a storm of nine minutes, from 10 s on: in each of the first three minutes
// it has so many steps that end, then none, then in each of the last three twice
// as many. The controller grows by 1 MiB a minute and takes 0.6 s of CPU time in
// one.
func long(steps int) *record {
	r := begin().guest(1, 0)
	for minute := range 9 {
		start := 10 + 60*float64(minute)
		n := []int{steps, 0, 2 * steps}[minute/3]
		for i := range n {
			at := start + float64(i+1)*60/float64(n)
			r.step(1, at-0.1, at, addDIMM("dimm0"), op.Done)
		}
		r.at(start+1, history.Event{Type: history.Host, Guest: 1, Controller: int64(40+minute) << 20, ControllerCPU: time.Duration(minute) * 600 * time.Millisecond})
	}
	return r.end(1, 551, "").finished(552)
}

func near(a, b float64) bool { return math.Abs(a-b) < 0.01*b }

func TestTrend(t *testing.T) {
	v := long(6).judge().Trend
	if v == nil {
		t.Fatal("a long run has no trend")
	}
	if !near(v.First.PerMinute, 6) || !near(v.Last.PerMinute, 12) {
		t.Errorf("%.2f, then %.2f steps a minute", v.First.PerMinute, v.Last.PerMinute)
	}
	if v.First.Controller != 42<<20 || v.Last.Controller != 48<<20 || !near(v.First.CPUs, 0.01) || !near(v.First.PerOp().Seconds(), 0.1) {
		t.Errorf("%+v", v)
	}
}

// TestNoTrend: what isn't known isn't made up.
func TestNoTrend(t *testing.T) {
	if v := clean().judge().Trend; v != nil {
		t.Errorf("a short run has a trend: %+v", v)
	}
	if v := long(6).without(history.AgentUp).judge().Trend; v != nil {
		t.Errorf("a run whose guest never came up has a trend: %+v", v)
	}
	if v := long(6).without(history.Host).judge().Trend; v == nil || v.First.Controller != 0 || v.First.PerOp() != 0 {
		t.Errorf("nobody looked at the controller: %+v", v)
	}
	if d := (verdict.Third{CPUs: 1}).PerOp(); d != 0 {
		t.Errorf("no step took %s", d)
	}
}

// TestJoinedTrend: slots add up, and share one controller.
func TestJoinedTrend(t *testing.T) {
	lost := verdict.Part{Slot: 3, Started: noon, Verdict: verdict.Lost("it left no record")}
	v := verdict.Join(append(slots(long(6), long(3)), lost)).Trend
	if v == nil || !near(v.First.PerMinute, 9) || v.First.Controller != 42<<20 || !near(v.First.CPUs, 0.01) {
		t.Errorf("%+v", v)
	}
	if v := verdict.Join(slots(clean(), clean())).Trend; v != nil {
		t.Errorf("short runs have a trend together: %+v", v)
	}
}
