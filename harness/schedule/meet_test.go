// SPDX-License-Identifier: Apache-2.0

package schedule_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/blame"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
)

func meeting() *schedule.Scenario {
	s := scenario()
	s.Meet = 50
	return s
}

// TestMeetsLeaveOps: with meetings or without, a seed gives the same ops and
// gaps, and the same meetings each time.
func TestMeetsLeaveOps(t *testing.T) {
	m := vm.Machines.All()[0]
	without := steps(schedule.Sequences(scenario(), m, all, 7), 100)
	with := steps(schedule.Sequences(meeting(), m, all, 7), 100)
	if again := steps(schedule.Sequences(meeting(), m, all, 7), 100); text(t, with) != text(t, again) {
		t.Error("the same seed gave different meetings")
	}
	if other := steps(schedule.Sequences(meeting(), m, all, 8), 100); text(t, meets(with["cpu"])) == text(t, meets(other["cpu"])) {
		t.Error("meetings don't care about the seed")
	}
	for lane := range with {
		for i := range with[lane] {
			with[lane][i].Meet = nil
		}
	}
	if diff := cmp.Diff(text(t, without), text(t, with)); diff != "" {
		t.Error(diff)
	}
}

func meets(all []schedule.Step) []*schedule.Meet {
	var drawn []*schedule.Meet
	for _, s := range all {
		if s.Meet != nil {
			drawn = append(drawn, s.Meet)
		}
	}
	return drawn
}

// TestWhoMeets: about as many as asked for, with lanes that come as often, and
// never both ways; offsets small, slides spread evenly.
func TestWhoMeets(t *testing.T) {
	const n = 2000
	taken := steps(schedule.Sequences(meeting(), vm.Machines.All()[0], all, 7), n)
	gap := map[string]time.Duration{}
	for _, l := range meeting().Lanes {
		gap[l.Name] = l.Gap
	}
	with := map[[2]string]bool{}
	slides := map[string][]float64{}
	for lane, all := range taken {
		drawn := meets(all)
		if lane == "dimm-a" && len(drawn) != 0 {
			t.Errorf("%s waits for slower lanes", lane)
		}
		if share := float64(len(drawn)) / float64(len(all)); lane != "dimm-a" && (share < 0.45 || share > 0.55) {
			t.Errorf("%s: %.2f of the steps meet others", lane, share)
		}
		for _, m := range drawn {
			with[[2]string{lane, m.Lane}] = true
			if gap[m.Lane] > gap[lane] || with[[2]string{m.Lane, lane}] {
				t.Errorf("%s meets %s", lane, m.Lane)
			}
			if m.Offset < -3*time.Millisecond || m.Offset > 3*time.Millisecond || m.Step != nil {
				t.Errorf("%+v", m)
			}
			if m.Slide != 0 && lane == "cpu" {
				slides[m.Lane] = append(slides[m.Lane], m.Slide)
			}
		}
	}
	if len(with) != 15 { // six lanes
		t.Errorf("%d pairs of lanes meet", len(with))
	}
	for lane, s := range slides {
		first := slices.Sorted(slices.Values(s[:20]))
		for i := range first[1:] {
			if first[i+1]-first[i] > 0.15 {
				t.Errorf("cpu with %s: the first slides %v leave a gap", lane, first)
			}
		}
	}
}

func TestApart(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		meet       schedule.Meet
		own, other time.Duration
		want       time.Duration
	}{
		{schedule.Meet{Offset: 2 * ms}, 500 * ms, 500 * ms, 2 * ms},
		{schedule.Meet{Offset: -2 * ms, Slide: 0.5}, 0, 0, -2 * ms}, // nothing is known yet
		{schedule.Meet{Slide: 1}, 100 * ms, 400 * ms, 400 * ms},
		{schedule.Meet{Slide: 0.2}, 100 * ms, 400 * ms, 0},
		{schedule.Meet{Offset: ms, Slide: 1e-9}, 100 * ms, 400 * ms, -99 * ms},
		{schedule.Meet{Slide: 1e-9}, 5 * time.Second, 400 * ms, -200 * ms}, // the other isn't held up for ever
		{schedule.Meet{Slide: 1}, 0, time.Minute, 2 * time.Second},         // nor does this one rest for ever
	} {
		if got := tt.meet.Apart(tt.own, tt.other).Round(time.Microsecond); got != tt.want {
			t.Errorf("%+v, %s and %s: %s, want %s", tt.meet, tt.own, tt.other, got, tt.want)
		}
	}
}

// TestInTurnMeets: each part has its own share of meetings, and no lane meets
// another part's.
func TestInTurnMeets(t *testing.T) {
	first, second := meeting(), scenario()
	first.Name, second.Name = "first", "second"
	taken := steps(schedule.Sequences(schedule.InTurn("both", "", time.Minute, time.Second, first, second), vm.Machines.All()[0], all, 7), 50)
	n := 0
	for lane, all := range taken {
		for _, m := range meets(all) {
			if n++; lane[:6] != "first/" || m.Lane[:6] != "first/" {
				t.Errorf("%s meets %s", lane, m.Lane)
			}
		}
	}
	if n == 0 {
		t.Error("nobody meets")
	}
}

// recorded is a schedule in which b's second step met a's fourth.
const recorded = `[
	{"lane":"a","index":3,"gap_ns":0,"op":{"kind":"vm-pause","args":{"ms":10}}},
	{"lane":"b","index":0,"gap_ns":0,"op":{"kind":"vm-pause","args":{"ms":10}},"meet":{"lane":"a","offset_ns":2000}},
	{"lane":"b","index":1,"gap_ns":0,"op":{"kind":"vm-pause","args":{"ms":10}},"meet":{"lane":"a","offset_ns":1000,"slide":0.7,"step":3}},
	{"lane":"b","index":2,"gap_ns":0,"op":{"kind":"vm-pause","args":{"ms":10}},"meet":{"lane":"a","offset_ns":1000,"step":3,"joined":true}},
	{"lane":"b","index":3,"gap_ns":0,"op":{"kind":"vm-pause","args":{"ms":10}},"meet":{"lane":"a","offset_ns":1000,"step":4}}
]`

func twoLanes() []*schedule.Sequence {
	s := &schedule.Scenario{Lanes: []schedule.Lane{lane("a", op.VMPause), lane("b", op.VMPause)}}
	return schedule.Sequences(s, vm.Machines.All()[0], all, 0)
}

// TestReplayMeets: a replay repeats the offsets that were, with the steps that
// were met; who met nobody, or one that has been cut out, waits for nobody.
func TestReplayMeets(t *testing.T) {
	var given []schedule.Step
	if err := json.Unmarshal([]byte(recorded), &given); err != nil {
		t.Fatal(err)
	}
	before := text(t, given)
	lanes := twoLanes()
	if err := schedule.Replay(lanes, given); err != nil {
		t.Fatal(err)
	}
	if text(t, given) != before {
		t.Error("the replay changed the record")
	}
	step, _ := lanes[0].Next()
	if diff := cmp.Diff([]schedule.Caller{{Lane: "b", Index: 1}}, lanes[0].Callers()); diff != "" || step.Meet != nil {
		t.Errorf("%+v\n%s", step.Meet, diff)
	}
	three := 3
	want := []*schedule.Meet{nil, {Lane: "a", Offset: 1000, Step: &three}, {Lane: "a", Offset: 1000, Step: &three, Joined: true}, nil}
	var got []*schedule.Meet
	for _, s := range steps(lanes, 9)["b"] {
		got = append(got, s.Meet)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReplayRefusesMeets(t *testing.T) {
	for _, meet := range []string{
		`{"lane":"b","offset_ns":0,"step":0}`, // itself
		`{"lane":"a","offset_ns":4000000000000,"step":0}`,
		`{"lane":"a","offset_ns":-4000000000000,"step":0}`,
	} {
		var given []schedule.Step
		if err := json.Unmarshal([]byte(`[{"lane":"a","index":0,"op":{"kind":"vm-pause","args":{"ms":1}}},
			{"lane":"b","index":0,"op":{"kind":"vm-pause","args":{"ms":1}},"meet":`+meet+`}]`), &given); err != nil {
			t.Fatal(err)
		}
		if err := schedule.Replay(twoLanes(), given); blame.Of(err) != blame.User {
			t.Errorf("%s: %v", meet, err)
		}
	}
}

// TestKinds: what lanes can do depends on the machine and on QEMU, or on what a
// recorded schedule holds.
func TestKinds(t *testing.T) {
	for _, m := range vm.Machines.All() {
		for _, removal := range []bool{true, false} {
			lanes := schedule.Kinds(scenario(), m, vm.Budget{VCPURemove: removal, VCPUAdds: -1}, nil)
			byLane := map[string][]string{}
			for _, l := range lanes {
				byLane[l.Lane] = l.Kinds
			}
			if got := byLane["dimm-b"]; len(got) != 4 {
				t.Errorf("%s: dimm-b can do %q", m.Name, got)
			}
			if got := slices.Contains(byLane["vcpu"], "vcpu-remove"); got != removal {
				t.Errorf("%s: removal %v, but vcpu can do %q", m.Name, removal, byLane["vcpu"])
			}
		}
	}
	var given []schedule.Step
	if err := json.Unmarshal([]byte(recorded), &given); err != nil {
		t.Fatal(err)
	}
	s := &schedule.Scenario{Lanes: []schedule.Lane{lane("a", op.VMPause, op.CPUOffline), lane("b", op.VMPause), lane("c", op.VMPause)}}
	want := []schedule.LaneKinds{{Lane: "a", Kinds: []string{"vm-pause"}}, {Lane: "b", Kinds: []string{"vm-pause"}}, {Lane: "c", Kinds: []string{}}}
	if diff := cmp.Diff(want, schedule.Kinds(s, vm.Machines.All()[0], all, given)); diff != "" {
		t.Error(diff)
	}
}
