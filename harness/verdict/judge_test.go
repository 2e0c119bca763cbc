// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/splat"
	"plugstorm/harness/verdict"
)

// only insists that there is one finding, and returns it.
func only(t *testing.T, v *verdict.Verdict) verdict.Finding {
	t.Helper()
	if len(v.Findings) != 1 {
		t.Fatalf("%d findings, want one: %+v", len(v.Findings), v.Findings)
	}
	return v.Findings[0]
}

// TestWhen: console marks say when a complaint came.
func TestWhen(t *testing.T) {
	for _, tt := range []struct {
		name        string
		record      *record
		at, atAgent time.Duration
	}{
		{"at a mark", begin().guest(1, 1).say(1, 20, "hello\n").say(1, 25, warning("f")).say(1, 30, "bye\n"), 24 * second, 14 * second},
		{"behind a mark", begin().guest(1, 1).say(1, 20, "hello\n"+warning("f")).say(1, 30, "bye\n"), 19 * second, 9 * second},
		{"behind the last mark", begin().guest(1, 1).say(1, 20, "hello\n"+warning("f")), 19 * second, 9 * second},
		{"in two pieces", begin().guest(1, 1).say(1, 20, warning("f")[:300]).say(1, 21, warning("f")[300:]), 19 * second, 9 * second},
		{"while booting", begin().guest(1, 5).say(1, 8, warning("f")), 3 * second, -7 * second},
		{"in a second guest", begin().guest(1, 1).end(1, 30, "").guest(2, 31).say(2, 51, warning("f")), 20 * second, 10 * second},
		{"without an agent", begin().guest(1, 5).say(1, 8, warning("f")).without(history.AgentUp), 3 * second, 0},
		{"without marks", begin().guest(1, 5).say(1, 8, warning("f")).without(history.Console), 0, -10 * second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := only(t, tt.record.judge())
			if f.At != tt.at || f.AtAgent != tt.atAgent {
				t.Errorf("%s after QEMU, %s after the agent; want %s, %s", f.At, f.AtAgent, tt.at, tt.atAgent)
			}
		})
	}
}

// TestInFlight: a finding names what was going on when it came, in its guest.
func TestInFlight(t *testing.T) {
	r := begin().guest(1, 1).guest(2, 2)
	r.step(1, 15, 19.9, step("cpu", "cpu-offline", `{"cpu":1,"online":false}`), op.Done) // over
	r.begun(1, 16, addDIMM("never-ends"))
	r.step(1, 17, 20, addDIMM("ends-now"), op.Done)
	r.step(1, 18, 25, step("b", "dimm-remove", `{"id":"spans"}`), op.Refused)
	r.step(2, 18, 25, addDIMM("elsewhere"), op.Done)
	r.step(1, 20.1, 25, addDIMM("later"), op.Done)
	f := only(t, r.say(1, 20, warning("f")).judge())
	want := []string{
		`dimm: dimm-add {"id":"never-ends","mib":128,"node":1}`,
		`dimm: dimm-add {"id":"ends-now","mib":128,"node":1}`,
		`b: dimm-remove {"id":"spans"}`,
	}
	if diff := cmp.Diff(want, f.Steps); diff != "" {
		t.Error(diff)
	}
	if f := only(t, begin().guest(1, 1).say(1, 5, warning("f")).judge()); f.Steps == nil || len(f.Steps) != 0 {
		t.Errorf("nothing was going on, but %v", f.Steps)
	}
}

// TestSightings: one identity is one finding, with the place of its first
// sighting.
func TestSightings(t *testing.T) {
	r := begin().guest(1, 1).say(1, 20, warning("a")).say(1, 30, warning("b")).say(1, 40, warning("a")).end(1, 50, "")
	r.guest(2, 51).say(2, 70, warning("b")).say(2, 80, warning("a")).end(2, 90, "")
	r.guest(3, 91).say(3, 110, warning("c")).end(3, 120, "").finished(121)
	type row struct {
		Title            string
		Guest, Sightings int
		At               time.Duration
	}
	var got []row
	for _, f := range r.judge().Findings {
		got = append(got, row{f.Title, f.Guest, f.Sightings, f.At})
	}
	want := []row{
		{"WARNING in a", 1, 3, 19 * second},
		{"WARNING in b", 1, 2, 29 * second},
		{"WARNING in c", 3, 1, 19 * second},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestStuckExplained: where the kernel says which tasks hang, that is the finding.
func TestStuckExplained(t *testing.T) {
	f := only(t, begin().guest(1, 1).at(50, history.Event{Type: history.Stuck, Guest: 1, Stuck: &history.Tasks{PIDs: []int{41}, For: 15 * second}}).say(1, 60, hungTask).judge())
	if f.Type != splat.TypeHang || f.Detector == "harness" {
		t.Errorf("%+v", f)
	}
}

// TestDeadlock: what the kernel showed of tasks that stand still is judged from
// the console; a part of it that isn't there proves nothing, and hides nothing.
func TestDeadlock(t *testing.T) {
	said, err := os.ReadFile("../run/testdata/console/abba.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		pids     []int
		cut      int64 // from the end
		identity string
	}{
		{"whole", []int{98, 99}, 0, "hang: deadlock/first: mutex deadlock_b in deadlock_abba_first -> deadlock/second: mutex deadlock_a in deadlock_abba_second"},
		{"one may have run", []int{98}, 0, "harness:stuck"},
		{"beyond its end", []int{98, 99}, -1, "harness:stuck"},
		{"before its end", []int{98, 99}, 1 << 30, "harness:stuck"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := begin().guest(1, 1)
			from := int64(len(r.consoles[1]))
			r.say(1, 40, string(said))
			to := int64(len(r.consoles[1])) - tt.cut
			f := only(t, r.at(50, history.Event{Type: history.Stuck, Guest: 1, Stuck: &history.Tasks{PIDs: tt.pids, From: from, To: to}}).judge())
			if f.Identity != tt.identity || f.Type != splat.TypeHang || f.At != 49*second {
				t.Errorf("%+v", f)
			}
		})
	}
}

// TestOwnFindings: what the console can't say is a finding as well.
func TestOwnFindings(t *testing.T) {
	for _, tt := range []struct {
		name, title, typ, identity string
		fatal                      bool
		record                     *record
	}{
		{"hung", "hung step: dimm-add", "HANG", "harness:hung:dimm-add", false,
			begin().guest(1, 1).step(1, 20, 50, addDIMM("dimm0"), op.Hung)},
		{"silent", "the guest went silent", "HANG", "harness:silent", false,
			begin().guest(1, 1).at(50, history.Event{Type: history.Silent, Guest: 1, Text: "no heartbeat for 39s"})},
		{"stuck", "tasks stay blocked after the storm", "HANG", "harness:stuck", false,
			begin().guest(1, 1).at(50, history.Event{Type: history.Stuck, Guest: 1, Stuck: &history.Tasks{PIDs: []int{10}, For: 15 * second}})},
		{"reset", "unexpected reboot", "REBOOT", "harness:guest-reset", true, begin().guest(1, 1).end(1, 50, "guest-reset")},
		{"shutdown", "unexpected shutdown", "REBOOT", "harness:guest-shutdown", true, begin().guest(1, 1).end(1, 50, "guest-shutdown")},
		{"panic", "the guest told QEMU of a panic", "REBOOT", "harness:guest-panic", true, begin().guest(1, 1).end(1, 50, "guest-panic")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := only(t, tt.record.judge())
			if f.Title != tt.title || f.Type != tt.typ || f.Identity != tt.identity || f.Fatal != tt.fatal {
				t.Errorf("%+v", f)
			}
			if f.Detector != "harness" || f.CPU != -1 || f.Start != -1 || f.Stack == nil {
				t.Errorf("it must say that it is ours, and that it has no place on the console: %+v", f)
			}
			if f.At != 49*second || f.AtAgent != 39*second {
				t.Errorf("at %s, %s", f.At, f.AtAgent)
			}
		})
	}
	for _, ours := range []string{"", "host-qmp-quit", "host-signal", "host-error"} {
		if v := begin().guest(1, 1).end(1, 50, ours).judge(); len(v.Findings) != 0 {
			t.Errorf("QEMU ended for %q: %+v", ours, v.Findings)
		}
	}
	f := only(t, begin().guest(1, 1).step(1, 20, 50, addDIMM("dimm0"), op.Hung).judge())
	if diff := cmp.Diff([]string{`dimm: dimm-add {"id":"dimm0","mib":128,"node":1}`}, f.Steps); diff != "" {
		t.Errorf("a hung step must name itself: %s", diff)
	}
}

// TestOrder: the findings of a verdict stand in the order in which they came.
func TestOrder(t *testing.T) {
	r := begin().guest(1, 1).say(1, 20, warning("first")).step(1, 21, 40, addDIMM("dimm0"), op.Hung)
	r.say(1, 45, warning("third")).end(1, 50, "guest-reset")
	r.guest(2, 51).say(2, 54, warning("fifth"))
	var got []string
	for _, f := range r.judge().Findings {
		got = append(got, f.Title)
	}
	want := []string{"WARNING in first", "hung step: dimm-add", "WARNING in third", "unexpected reboot", "WARNING in fifth"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCounts(t *testing.T) {
	r := begin().guest(1, 1)
	for i, seconds := range []float64{4, 1, 10} {
		from := 20 + 20*float64(i)
		r.step(1, from, from+seconds, addDIMM("dimm0"), op.Done)
	}
	r.step(1, 80, 95, addDIMM("dimm0"), op.Refused) // says nothing about how long a plug takes
	r.step(1, 95, 96, addDIMM("dimm0"), op.Broken)
	remove := step("dimm", "dimm-remove", `{"id":"dimm0"}`)
	r.step(1, 96, 98, remove, op.Done)
	r.step(1, 98, 99, remove, op.Pending)
	r.step(1, 99, 100, remove, "")
	r.begun(1, 101, step("cpu", "cpu-offline", `{"cpu":1}`)) // never ends
	r.at(102, history.Event{Type: history.StepEnd, Guest: 1, Seq: 99, Outcome: op.Done})

	got := r.judge().Ops
	want := map[string]*verdict.Counts{
		"dimm-add":    {Outcomes: map[op.Outcome]int{op.Done: 3, op.Refused: 1, op.Broken: 1}, Median: 4 * second, Max: 10 * second},
		"dimm-remove": {Outcomes: map[op.Outcome]int{op.Done: 1, op.Pending: 1}, Median: 2 * second, Max: 2 * second},
	}
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".latencies" }, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
}

// TestPerMinute: the storm's first minute begins with the first agent.
func TestPerMinute(t *testing.T) {
	r := begin().guest(1, 1) // up at 11
	r.step(1, 12, 20, addDIMM("a"), op.Done)
	r.step(1, 20, 70.9, addDIMM("b"), op.Refused)
	r.step(1, 70.9, 71, addDIMM("c"), op.Done)
	r.step(1, 71, 100, addDIMM("d"), "") // nobody knows whether it ever ended
	r.end(1, 110, "").guest(2, 110)
	r.step(2, 150, 195, addDIMM("e"), op.Hung)
	if diff := cmp.Diff([]int{2, 1, 0, 1}, r.judge().PerMinute); diff != "" {
		t.Error(diff)
	}
}

func TestGuests(t *testing.T) {
	r := begin().guest(1, 1).at(40, history.Event{Type: history.Blind, Guest: 1}).at(41, history.Event{Type: history.Blind, Guest: 1}).end(1, 42, "")
	r.at(43, history.Event{Type: history.GuestStart, Guest: 2}).end(2, 50, "")
	r.guest(3, 51)
	want := []verdict.Guest{
		{Number: 1, Start: second, Boot: 10 * second, Life: 41 * second, Blind: 2 * second, End: "the run's time is up"},
		{Number: 2, Start: 43 * second, Life: 7 * second, End: "the run's time is up"},
		{Number: 3, Start: 51 * second, Boot: 10 * second},
	}
	if diff := cmp.Diff(want, r.judge().Guests); diff != "" {
		t.Error(diff)
	}
}

func TestWorkloads(t *testing.T) {
	said := func(text string) history.Event { return history.Event{Type: history.Workload, Guest: 1, Text: text} }
	r := begin().guest(1, 1).
		at(20, said(`{"id":"a","name":"slab-storm","rounds":7,"refused":2}`)).
		at(21, said(`{"id":"b","name":"slab-storm","rounds":5}`)).
		at(22, said(`{"id":"c","name":"cpu-toggle","rounds":0,"error":"no CPU to toggle"}`)).
		at(23, said(`not JSON`)).at(24, said(``))
	v := r.judge()
	if diff := cmp.Diff(map[string]uint64{"slab-storm": 12, "cpu-toggle": 0}, v.Workloads); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]uint64{"slab-storm": 2, "cpu-toggle": 0}, v.Refused); diff != "" {
		t.Error(diff)
	}
}

func TestFaults(t *testing.T) {
	r := clean().at(30, history.Event{Type: history.Fault, Guest: 1, Party: "host", Text: "no memory", Next: "close a browser"}).say(1, 40, lostSight)
	want := []verdict.Fault{
		{At: 30 * second, Party: "host", Text: "no memory", Next: "close a browser"},
		{At: 40 * second, Party: "harness", Text: "BUG: MAX_LOCKDEP_ENTRIES too low!", Next: "build the kernel with larger LOCKDEP_*_BITS"},
	}
	if diff := cmp.Diff(want, r.judge().Faults); diff != "" {
		t.Error(diff)
	}
}
