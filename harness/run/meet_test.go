// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/agent"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/overlap"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm/vmtest"
)

// pauses are lanes that stop the guest, which takes a while, and meet each
// other. The first one never rests.
func pauses() *schedule.Scenario {
	s := &schedule.Scenario{Name: "test", Meet: 100}
	for i, name := range []string{"always", "often", "seldom"} {
		s.Lanes = append(s.Lanes, schedule.Lane{
			Name: name, Gap: time.Duration(i) * 2 * time.Second, Mix: []schedule.Weight{{Kind: op.VMPause, Weight: 1}},
		})
	}
	return s
}

// key is a step of the schedule.
type key struct {
	lane  string
	index int
}

// begins are the times at which the steps of a record began, and their meetings.
func (r *record) begins() (at map[key]time.Duration, meets map[key]*schedule.Meet) {
	at, meets = map[key]time.Duration{}, map[key]*schedule.Meet{}
	for _, e := range r.steps(history.StepBegin, 0) {
		if e.Setup {
			continue
		}
		k := key{e.Step.Lane, e.Step.Index}
		at[k] = e.At
		if e.Step.Meet != nil {
			meets[k] = e.Step.Meet
		}
	}
	return at, meets
}

// kept insists that those who met began as far from each other as the record
// says, and counts them.
func (r *record) kept(t *testing.T) (met, joined int) {
	t.Helper()
	at, meets := r.begins()
	for k, m := range meets {
		if m.Step == nil {
			continue
		}
		met++
		if m.Joined {
			joined++
		}
		other, begun := at[key{m.Lane, *m.Step}]
		if !begun {
			continue // the guest's end kept it from beginning
		}
		if got := at[k] - other; got != m.Offset {
			t.Errorf("%v began %s after %s %d, and the record says %s", k, got, m.Lane, *m.Step, m.Offset)
		}
	}
	return met, joined
}

// TestMeets: a step begins as far from the other one as is drawn, and slides
// over what both usually take.
func TestMeets(t *testing.T) {
	r := play{seed: 3, scenario: pauses(), duration: 5 * time.Minute}.perform(t)
	met, joined := r.kept(t)
	_, meets := r.begins()
	if met < 50 || joined == 0 || joined == met || met < len(meets)*8/10 {
		t.Errorf("of %d meetings %d came about, %d of them with a step that was under way", len(meets), met, joined)
	}
	slid, ahead := 0, 0
	for _, m := range meets {
		switch {
		case m.Slide == 0 && (m.Offset < -3*time.Millisecond || m.Offset > 3*time.Millisecond):
			t.Errorf("an offset of %s without a slide", m.Offset)
		case m.Offset > 50*time.Millisecond:
			slid++
		case m.Offset < -50*time.Millisecond:
			ahead++
		}
	}
	if slid == 0 || ahead == 0 {
		t.Errorf("%d steps began long after the other, %d long before it", slid, ahead)
	}
	if table := overlap.Of(r.History); table.Meets.Planned != len(meets) || table.Meets.Met != met || table.Meets.Overlapped < met*8/10 {
		t.Errorf("%+v", table.Meets)
	}
}

// TestMeetsTakeNoPace: who is met waits for nobody, but for those who are to
// begin before it.
func TestMeetsTakeNoPace(t *testing.T) {
	count := func(percent int) int {
		s := pauses()
		s.Meet = percent
		n := 0
		for _, e := range (play{seed: 3, scenario: s, duration: 5 * time.Minute}).perform(t).steps(history.StepBegin, 0) {
			if e.Step.Lane == "always" {
				n++
			}
		}
		return n
	}
	if without, with := count(0), count(100); with < without*85/100 {
		t.Errorf("%d steps with meetings, %d without", with, without)
	}
}

// TestReplayMeets: a replay's steps meet the same ones as far apart, whatever
// they take this time, and so does a replay of the replay.
func TestReplayMeets(t *testing.T) {
	first := play{seed: 3, scenario: pauses(), duration: 30 * time.Second}.perform(t)
	_, want := first.begins()
	steps := first.Steps()
	for range 2 {
		slow := func(int) vmtest.Character {
			return vmtest.Character{Commands: map[string]vmtest.Handler{"stop": func(*vmtest.Guest, json.RawMessage) (any, error) {
				time.Sleep(150 * time.Millisecond)
				return struct{}{}, nil
			}}}
		}
		again := play{seed: 3, scenario: pauses(), duration: 2 * time.Minute, replay: steps, character: slow}.perform(t)
		at, meets := again.begins()
		if len(at) != len(steps) {
			t.Fatalf("%d steps, want %d", len(at), len(steps))
		}
		n := 0
		for k, m := range want {
			got := meets[k]
			switch {
			case m.Step == nil:
				continue
			case got == nil || got.Step == nil || *got.Step != *m.Step || got.Lane != m.Lane:
				t.Errorf("%v: %+v, want %+v", k, got, m)
			case !m.Joined && got.Offset != m.Offset: // who joins a step may find it at another point
				t.Errorf("%v began %s after the other, want %s", k, got.Offset, m.Offset)
			default:
				n++
			}
		}
		if again.kept(t); n == 0 {
			t.Error("nobody met")
		}
		steps = again.Steps()
	}
}

// TestReplayShortened: whose partner has been cut out of the schedule goes on
// at once.
func TestReplayShortened(t *testing.T) {
	steps := play{seed: 3, scenario: pauses(), duration: 30 * time.Second}.perform(t).Steps()
	steps = slices.DeleteFunc(steps, func(s schedule.Step) bool { return s.Lane == "always" || s.Index%3 == 1 })
	r := play{seed: 3, scenario: pauses(), replay: steps, duration: time.Minute}.perform(t)
	at, meets := r.begins()
	if len(at) != len(steps) || len(steps) == 0 {
		t.Errorf("%d steps, want %d", len(at), len(steps))
	}
	for k, m := range meets {
		if m.Lane == "always" {
			t.Errorf("%v waits for a step that isn't there", k)
		}
	}
}

// TestStuckLane: nobody waits for a lane that is stuck longer than the limit.
func TestStuckLane(t *testing.T) {
	s := only(schedule.Lane{CPUs: 1}, op.CPUOffline, op.CPUOnline)
	s.Meet = 100
	s.Lanes = append(s.Lanes, schedule.Lane{Name: "other", Gap: time.Second, Mix: []schedule.Weight{{Kind: op.VMPause, Weight: 1}}})
	stuck := func(int) vmtest.Character {
		return vmtest.Character{Methods: map[string]vmtest.Handler{agent.MethodSetCPU: func(g *vmtest.Guest, _ json.RawMessage) (any, error) {
			select {
			case <-g.VM.Ended():
			case <-time.After(time.Minute):
			}
			return nil, nil
		}}}
	}
	r := play{seed: 3, scenario: s, character: stuck, duration: 5 * time.Minute}.perform(t)
	n, joined := 0, 0
	for _, e := range r.steps(history.StepBegin, 0) {
		if e.Step.Lane != "other" {
			continue
		}
		if n++; e.Step.Meet.Joined {
			joined++
		}
	}
	// A step and its gap take 1.3 s, and the wait at most half a second more, or
	// 2 s for the right time in the other step.
	if n < 120 || joined < n*8/10 {
		t.Errorf("%d steps, %d of them joined the one that is stuck", n, joined)
	}
	r.kept(t)
}

// TestMeetingInNextGuest: a step that waits when its guest ends is the first
// of the next one.
func TestMeetingInNextGuest(t *testing.T) {
	scene := func(n int, g *vmtest.Guest) {
		if n == 1 {
			time.AfterFunc(20*time.Second, func() { g.Die("signal: killed", "") })
		}
	}
	r := play{seed: 3, scenario: pauses(), duration: time.Minute, scene: scene}.perform(t)
	last := map[string]int{}
	for _, e := range r.steps(history.StepBegin, 0) {
		if next, ok := last[e.Step.Lane]; ok && e.Step.Index != next+1 {
			t.Errorf("step %d of lane %s follows %d", e.Step.Index, e.Step.Lane, next)
		}
		last[e.Step.Lane] = e.Step.Index
	}
	if len(r.guests) != 2 {
		t.Errorf("%d guests", len(r.guests))
	}
}

// TestLanesAreRecorded: the record says what its lanes could do, so that a judge
// can say which pairs never overlapped.
func TestLanesAreRecorded(t *testing.T) {
	r := play{seed: 3, duration: 20 * time.Second}.perform(t)
	kinds := map[string][]string{}
	for _, l := range r.Case.Lanes {
		kinds[l.Lane] = slices.Sorted(slices.Values(l.Kinds))
	}
	want := map[string][]string{"dimm": {"block-offline", "dimm-add", "dimm-remove"}, "cpu": {"cpu-offline", "cpu-online"}}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Error(diff)
	}
	if table := overlap.Of(r.History); len(table.Pairs)+len(table.Never) != 6 {
		t.Errorf("%d pairs overlapped and %d never did, of 6", len(table.Pairs), len(table.Never))
	}
}
