// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/known"
	"plugstorm/harness/op"
	"plugstorm/harness/verdict"
)

// TestStatus says what makes a run clean, a finding, or unknown, and why.
func TestStatus(t *testing.T) {
	qemuDied := history.Event{Type: history.Fault, Guest: 1, Party: string(blame.Hypervisor), Text: "QEMU died: signal: killed", Next: "see qemu.stderr"}
	for _, tt := range []struct {
		name   string
		record *record
		input  func(*verdict.Input)
		want   verdict.Status
		why    []string
	}{
		{name: "nothing happened", record: clean(), want: verdict.Clean},
		{name: "a refusal and a pending removal are no doubts", want: verdict.Clean,
			record: begin().guest(1, 1).step(1, 12, 13, addDIMM("dimm0"), op.Done).
				step(1, 13, 14, step("dimm", "dimm-remove", `{"id":"dimm0"}`), op.Pending).
				step(1, 14, 15, step("cpu", "cpu-offline", `{"cpu":1}`), op.Refused).
				step(1, 15, 16, step("cpu", "cpu-offline", `{"cpu":1}`), "").
				end(1, 60, "host-qmp-quit").finished(61)},
		{name: "the record stops", record: clean().without(history.RunEnd), want: verdict.Unknown,
			why: []string{"the record stops before the run's end"}},
		{name: "a fault", record: clean().at(30, qemuDied), want: verdict.Unknown,
			why: []string{"hypervisor: QEMU died: signal: killed"}},
		{name: "nothing was begun", record: begin().guest(1, 1).end(1, 60, "").finished(61), want: verdict.Unknown,
			why: []string{"no op was done"}},
		{name: "everything was refused", want: verdict.Unknown, why: []string{"no op was done"},
			record: begin().guest(1, 1).step(1, 12, 13, addDIMM("dimm0"), op.Refused).end(1, 60, "").finished(61)},
		{name: "only the setup was done", record: onlySetup(), want: verdict.Unknown, why: []string{"no op was done"}},
		{name: "an op broke", want: verdict.Unknown, why: []string{"1 × dimm-add broke", "2 × cpu-online broke"},
			record: clean().step(1, 20, 21, addDIMM("dimm1"), op.Broken).
				step(1, 21, 22, step("cpu", "cpu-online", `{"cpu":1}`), op.Broken).
				step(1, 22, 23, step("cpu", "cpu-online", `{"cpu":1}`), op.Broken)},
		{name: "a cut history", record: clean(), want: verdict.Unknown, why: []string{"the last line of the history is cut off"},
			input: func(in *verdict.Input) { in.History.Cut = true }},
		{name: "a missing console", record: clean(), want: verdict.Unknown, why: []string{"the console of guest 1 is missing"},
			input: func(in *verdict.Input) { delete(in.Consoles, 1) }},
		{name: "a console shorter than recorded", record: clean().say(1, 50, "more\n"), want: verdict.Unknown,
			why:   []string{"the console of guest 1 is cut off"},
			input: func(in *verdict.Input) { in.Consoles[1] = []byte(bootLog) }},
		{name: "no guest at all", record: begin().finished(1), want: verdict.Unknown, why: []string{"no op was done"}},
		{name: "lockdep lost sight", record: clean().say(1, 20, lostSight), want: verdict.Unknown,
			why: []string{"harness: BUG: MAX_LOCKDEP_ENTRIES too low!"}},
		{name: "a console with nothing on it", want: verdict.Unknown, why: []string{"guest 1 has said nothing on its console"},
			record: clean().without(history.Console), input: func(in *verdict.Input) { in.Consoles[1] = []byte{} }},
		{name: "a guest without an end", record: clean().without(history.GuestEnd), want: verdict.Unknown,
			why: []string{"the record has no end of guest 1"}},
		{name: "an end without a beginning", record: clean().at(50, history.Event{Type: history.StepEnd, Guest: 1, Seq: 99, Outcome: op.Done}),
			want: verdict.Unknown, why: []string{"harness: guest 1: step 99 ends and has not begun"}},
		{name: "an outcome that there isn't", record: clean().step(1, 20, 21, addDIMM("dimm1"), "rosy"), want: verdict.Unknown,
			why: []string{`harness: guest 1: step 3 has the unknown outcome "rosy"`}},
		{name: "a workload that says nothing we understand", record: clean().at(50, history.Event{Type: history.Workload, Guest: 1, Text: "{"}),
			want: verdict.Unknown, why: []string{"harness: guest 1: what a workload did can't be read: unexpected end of JSON input"}},
		{name: "all doubts at once", want: verdict.Unknown,
			record: begin().guest(1, 1).guest(2, 20).step(1, 12, 13, addDIMM("dimm0"), op.Broken).at(30, qemuDied),
			input:  func(in *verdict.Input) { in.Consoles, in.History.Cut = nil, true },
			why: []string{
				"1 × dimm-add broke", "hypervisor: QEMU died: signal: killed", "no op was done", "the console of guest 1 is missing",
				"the console of guest 2 is missing", "the last line of the history is cut off", "the record stops before the run's end",
			}},
		{name: "a complaint", record: clean().say(1, 20, warning("f")), want: verdict.Found},
		{name: "a complaint wins over a fault", record: clean().say(1, 20, warning("f")).at(30, qemuDied), want: verdict.Found,
			why: []string{"hypervisor: QEMU died: signal: killed"}},
		{name: "a complaint in a record that stops", record: clean().say(1, 20, warning("f")).without(history.RunEnd), want: verdict.Found,
			why: []string{"the record stops before the run's end"}},
		{name: "a complaint of a guest whose snapshot was damaged", want: verdict.Unknown,
			record: clean().say(1, 20, warning("f")).step(1, 20, 50, addDIMM("dimm1"), op.Hung).at(51, disowned).at(52, qemuDied),
			why:    []string{"hypervisor: QEMU died: signal: killed"}},
		{name: "a hung step", record: clean().step(1, 20, 50, addDIMM("dimm1"), op.Hung), want: verdict.Found},
		{name: "a hung step that has not begun", record: clean().at(50, history.Event{Type: history.StepEnd, Guest: 1, Seq: 99, Outcome: op.Hung}),
			want: verdict.Found, why: []string{"harness: guest 1: step 99 ends and has not begun"}},
		{name: "stuck tasks of which nothing is said", record: clean().at(50, history.Event{Type: history.Stuck, Guest: 1}), want: verdict.Found},
		{name: "a silent guest", record: clean().at(50, history.Event{Type: history.Silent, Guest: 1}), want: verdict.Found},
		{name: "a reboot", record: clean().without(history.GuestEnd).end(1, 60, "guest-reset"), want: verdict.Found},
		{name: "a shutdown", record: clean().without(history.GuestEnd).end(1, 60, "guest-shutdown"), want: verdict.Found},
		{name: "a panic", record: clean().without(history.GuestEnd).end(1, 60, "guest-panic"), want: verdict.Found},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.record.input()
			if tt.input != nil {
				tt.input(&in)
			}
			v := verdict.Judge(in)
			if v.Status != tt.want {
				t.Errorf("%s, want %s", v.Status, tt.want)
			}
			if diff := cmp.Diff(tt.why, v.Why); diff != "" {
				t.Errorf("why: %s", diff)
			}
			if (v.Status == verdict.Found) != (len(v.Findings) > 0) {
				t.Errorf("%d findings", len(v.Findings))
			}
		})
	}
}

// disowned says that what guest 1 showed before doesn't count either.
var disowned = history.Event{Type: history.Snapshot, Guest: 1, Disowned: true, Text: "damaged"}

// onlySetup is a run whose scenario started its workloads and did nothing else.
func onlySetup() *record {
	r := begin().guest(1, 1)
	start := step("workloads", "workload-start", `{"id":"all-slab","name":"slab-storm","params":{}}`)
	r.at(11, history.Event{Type: history.StepBegin, Guest: 1, Seq: 1, Step: start, Setup: true})
	r.at(12, history.Event{Type: history.StepEnd, Guest: 1, Seq: 1, Outcome: op.Done})
	return r.end(1, 60, "").finished(61)
}

const knownIssue = `
[[issue]]
id = "mmu-context"
title = "WARNING in old_bug"
machines = ["pseries"]
reason = "It has always been like this, and nobody minds it."
source = "a test"
`

func TestKnown(t *testing.T) {
	set, err := known.Load([]byte(knownIssue), "test")
	if err != nil {
		t.Fatal(err)
	}
	old := clean().say(1, 20, warning("old_bug"))
	both := clean().say(1, 20, warning("old_bug")).say(1, 21, warning("new_bug"))
	elsewhere := clean().say(1, 20, warning("old_bug"))
	elsewhere.events[0].Case.Machine = "x86_64"
	for _, tt := range []struct {
		name   string
		record *record
		known  *known.Set
		want   verdict.Status
		ids    []string
	}{
		{"known", old, set, verdict.Clean, []string{"mmu-context"}},
		{"nothing is known", old, nil, verdict.Found, []string{""}},
		{"not known on this machine", elsewhere, set, verdict.Found, []string{""}},
		{"a new one comes first", both, set, verdict.Found, []string{"", "mmu-context"}},
		{"known, but the record stops", clean().say(1, 20, warning("old_bug")).without(history.RunEnd), set, verdict.Unknown, []string{"mmu-context"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.record.input()
			in.Known = tt.known
			v := verdict.Judge(in)
			var ids []string
			for _, f := range v.Findings {
				ids = append(ids, f.Known)
				if strings.Contains(f.Reason, "nobody minds it") != (f.Known != "") {
					t.Errorf("%s: reason %q", f.Title, f.Reason)
				}
			}
			if v.Status != tt.want || !cmp.Equal(tt.ids, ids) {
				t.Errorf("%s %q, want %s %q", v.Status, ids, tt.want, tt.ids)
			}
		})
	}
}

// TestKnownCaller: an issue that names a caller doesn't explain the same identity
// from elsewhere, in whatever order they come and in whichever slot.
func TestKnownCaller(t *testing.T) {
	set, err := known.Load([]byte(strings.Replace(knownIssue, "machines", "stack = [\"pseries_cpu_offline_self\", \"outer\"]\nmachines", 1)), "test")
	if err != nil {
		t.Fatal(err)
	}
	end := "[    4.945763][    T0] ---[ end trace"
	old := strings.Replace(warning("old_bug"), end, "[    4.944660][    T0] [c0000000035e9e80] [c0000000000836d0] outer+0x44/0x118\n"+end, 1)
	strange := strings.Replace(old, "outer", "other", 1)
	judge := func(r *record) *verdict.Verdict {
		in := r.input()
		in.Known = set
		return verdict.Judge(in)
	}
	for _, v := range []*verdict.Verdict{
		judge(clean().say(1, 20, old).say(1, 21, strange).say(1, 22, old)),
		judge(clean().say(1, 20, strange).say(1, 21, old).say(1, 22, old)),
		verdict.Join([]verdict.Part{{Slot: 1, Verdict: judge(clean().say(1, 20, old).say(1, 21, old))}, {Slot: 2, Verdict: judge(clean().say(1, 20, strange))}}),
	} {
		if len(v.Findings) != 2 || v.Status != verdict.Found {
			t.Fatalf("%s: %d findings: %+v", v.Status, len(v.Findings), v.Findings)
		}
		fresh, explained := v.Findings[0], v.Findings[1]
		if fresh.Identity != explained.Identity || fresh.Known != "" || fresh.Sightings != 1 || explained.Known != "mmu-context" || explained.Sightings != 2 {
			t.Errorf("%+v", v.Findings)
		}
	}
}

// TestKnownFlood: however often a known complaint comes, a new one behind it is
// found.
func TestKnownFlood(t *testing.T) {
	set, err := known.Load([]byte(knownIssue), "test")
	if err != nil {
		t.Fatal(err)
	}
	in := clean().say(1, 20, strings.Repeat(warning("old_bug"), 5000)+warning("new_bug")).input()
	in.Known = set
	v := verdict.Judge(in)
	if v.Status != verdict.Found || len(v.Findings) != 2 || v.Findings[0].Title != "WARNING in new_bug" || v.Findings[1].Sightings < 4096 {
		t.Errorf("%s because of %q: %d findings", v.Status, v.Why, len(v.Findings))
	}
}

// TestTooMany: complaints that nobody can keep are no pass.
func TestTooMany(t *testing.T) {
	var all strings.Builder
	for i := range 9000 {
		all.WriteString(warning(fmt.Sprintf("f%d", i)))
	}
	set, err := known.Load([]byte(strings.Replace(knownIssue, "old_bug", "f[0-9]+", 1)), "test")
	if err != nil {
		t.Fatal(err)
	}
	in := clean().say(1, 20, all.String()).input()
	in.Known = set
	v := verdict.Judge(in)
	if v.Status != verdict.Unknown || len(v.Why) != 1 || !strings.Contains(v.Why[0], "more than we can keep") {
		t.Errorf("%s because of %.200q: %d findings", v.Status, v.Why, len(v.Findings))
	}
}

// TestShort: a run that ended long before its time, with what a known issue
// explains, is no pass; one with a finding, a replay and one of several slots end
// when they do.
func TestShort(t *testing.T) {
	short := func() *record {
		return begin().guest(1, 1).step(1, 12, 13, addDIMM("dimm0"), op.Done).say(1, 20, warning("old_bug")).end(1, 40, "host-qmp-quit").finished(41)
	}
	set, err := known.Load([]byte(knownIssue), "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		known *known.Set
		give  func(*history.Case)
		want  verdict.Status
		why   int
	}{
		{"explained", set, func(*history.Case) {}, verdict.Unknown, 1},
		{"not explained", nil, func(*history.Case) {}, verdict.Found, 0},
		{"as long as it was to be", set, func(c *history.Case) { c.Duration = 40 * second }, verdict.Clean, 0},
		{"a replay", set, func(c *history.Case) { c.ReplayOf = "x" }, verdict.Clean, 0},
		{"a slot", set, func(c *history.Case) { c.Slot, c.Slots = 1, 2 }, verdict.Clean, 0},
	} {
		r := short()
		tt.give(r.events[0].Case)
		in := r.input()
		in.Known = tt.known
		if v := verdict.Judge(in); v.Status != tt.want || len(v.Why) != tt.why || tt.why > 0 && v.Why[0] != "the run ended after 30s of its 1m0s" {
			t.Errorf("%s: %s because of %q", tt.name, v.Status, v.Why)
		}
	}
}

func TestMerge(t *testing.T) {
	const c, f, u = verdict.Clean, verdict.Found, verdict.Unknown
	for _, tt := range []struct {
		all  []verdict.Status
		want verdict.Status
	}{
		{nil, u},
		{[]verdict.Status{c}, c},
		{[]verdict.Status{u}, u},
		{[]verdict.Status{f}, f},
		{[]verdict.Status{""}, u},
		{[]verdict.Status{"rosy"}, u},
		{[]verdict.Status{c, c}, c},
		{[]verdict.Status{c, u}, u},
		{[]verdict.Status{u, c}, u},
		{[]verdict.Status{c, f}, f},
		{[]verdict.Status{u, f}, f},
		{[]verdict.Status{f, u}, f},
		{[]verdict.Status{c, u, c, f}, f},
	} {
		if got := verdict.Merge(tt.all...); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.all, got, tt.want)
		}
	}
}

func TestExitCode(t *testing.T) {
	for status, want := range map[verdict.Status]int{verdict.Clean: 0, verdict.Found: 1, verdict.Unknown: 3, "": 3, "rosy": 3} {
		if got := status.ExitCode(); got != want {
			t.Errorf("%q: %d, want %d", status, got, want)
		}
	}
}
