// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/rules"
	"plugstorm/harness/verdict"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// slots makes a part of each record, the second one a minute after the first.
func slots(all ...*record) []verdict.Part {
	var parts []verdict.Part
	for i, r := range all {
		parts = append(parts, verdict.Part{Slot: i + 1, Started: noon.Add(time.Duration(i) * time.Minute), Verdict: r.judge()})
	}
	return parts
}

// TestJoinedStatus: a finding wins, unknown never passes, and it is said which
// slot it is about.
func TestJoinedStatus(t *testing.T) {
	found, unknown := clean().say(1, 20, warning("f")), clean().without(history.RunEnd)
	lost := verdict.Part{Slot: 2, Started: noon, Verdict: verdict.Lost("it left no record")}
	const stops = "the record stops before the run's end"
	for _, tt := range []struct {
		name  string
		parts []verdict.Part
		want  verdict.Status
		why   []string
	}{
		{"both clean", slots(clean(), clean()), verdict.Clean, nil},
		{"one finding", slots(clean(), found), verdict.Found, nil},
		{"one unknown", slots(unknown, clean()), verdict.Unknown, []string{"slot 1: " + stops}},
		{"one of each", slots(unknown, clean(), found), verdict.Found, []string{"slot 1: " + stops}},
		{"one without a record", append(slots(clean()), lost), verdict.Unknown, []string{"slot 2: it left no record"}},
		{"one without a record, one finding", append(slots(found), lost), verdict.Found, []string{"slot 2: it left no record"}},
		{"nothing", nil, verdict.Unknown, nil},
		{"no status", []verdict.Part{{Slot: 1, Verdict: &verdict.Verdict{}}}, verdict.Unknown, nil},
	} {
		v := verdict.Join(tt.parts)
		if v.Status != tt.want || !slices.Equal(v.Why, tt.why) {
			t.Errorf("%s: %s because of %q, want %s because of %q", tt.name, v.Status, v.Why, tt.want, tt.why)
		}
	}
}

// TestJoinedFindings: one identity is one finding, seen first where it came
// first by the clock on the wall.
func TestJoinedFindings(t *testing.T) {
	v := verdict.Join(slots(
		clean().say(1, 58, warning("g")).say(1, 59, warning("g")), // 58 s after noon
		clean().say(1, 20, warning("g")).say(1, 20, warning("f")), // 80 s
		clean(),
		clean().guest(2, 61).say(2, 80, warning("g")).end(2, 90, ""), // 260 s
	))
	type seen struct {
		title        string
		slot, guest  int
		slots, times any
	}
	var got []seen
	for _, f := range v.Findings {
		got = append(got, seen{f.Title, f.Slot, f.Guest, f.Slots, f.Sightings})
	}
	want := []seen{
		{"WARNING in g", 1, 1, []int{1, 2, 4}, 4},
		{"WARNING in f", 2, 1, []int{2}, 1},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(seen{})); diff != "" {
		t.Error(diff)
	}
	if at := v.Findings[0].At; at != 57*time.Second {
		t.Errorf("it came %s after its guest's start", at)
	}
}

// TestJoinedCounts: what can be counted is added up.
func TestJoinedCounts(t *testing.T) {
	tally := func(answered bool, hits int64) history.Event {
		e := history.Event{Type: history.Rules, Guest: 1, Rules: &history.RuleCheck{Why: "no module"}}
		if answered {
			e.Rules = &history.RuleCheck{Status: &rules.Status{DebugLocks: true, Rules: []rules.Result{{Rule: "f: a(w)", Hits: hits}, {Rule: "g: b(r)"}}}}
		}
		return e
	}
	rounds := history.Event{Type: history.Workload, Guest: 1, Text: `{"name":"slab-storm","rounds":7}`}
	died := history.Event{Type: history.Fault, Guest: 1, Party: "hypervisor", Text: "QEMU died"}
	private := history.Event{Type: history.Host, Guest: 1, Private: 300 << 20}
	v := verdict.Join(slots(
		clean().step(1, 20, 26, addDIMM("dimm1"), op.Done).at(55, rounds).at(58, tally(true, 3)).at(30, private),
		clean().at(55, rounds).at(58, tally(true, 4)).at(40, died),
		clean().at(58, tally(false, 0)),
	))
	if got := v.Ops["dimm-add"]; got.Outcomes[op.Done] != 4 || got.Median != time.Second || got.Max != 6*time.Second {
		t.Errorf("dimm-add: %+v", got)
	}
	if got := v.Ops["dimm-remove"].Outcomes[op.Refused]; got != 3 {
		t.Errorf("%d refusals", got)
	}
	if diff := cmp.Diff([]int{3, 2, 2}, v.PerMinute); diff != "" {
		t.Errorf("each slot begins a minute after the one before: %s", diff)
	}
	if v.Workloads["slab-storm"] != 14 {
		t.Errorf("workloads: %v", v.Workloads)
	}
	if len(v.Faults) != 1 || v.Faults[0].Slot != 2 || v.Faults[0].At != 40*time.Second {
		t.Errorf("faults: %+v", v.Faults)
	}
	if len(v.Guests) != 3 || v.Guests[2].Slot != 3 || v.Guests[2].Number != 1 || v.Guests[0].Private != 300<<20 {
		t.Errorf("guests: %+v", v.Guests)
	}
	r := v.Rules
	if r == nil || r.Guests != 2 || r.Checked != 1 || r.Results[0].Hits != 7 || len(r.NotChecked) != 1 {
		t.Fatalf("rules: %+v", r)
	}
	if diff := cmp.Diff([]string{"slot 3: guest 1: rules not checked: no module"}, r.Why); diff != "" {
		t.Error(diff)
	}
	if verdict.Join(slots(clean())).Rules != nil {
		t.Error("rules were checked that nobody asked for")
	}
}

// TestJoinProperties: joining is as good as its worst part, loses no sighting,
// and gives the same twice.
func TestJoinProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []*record
		for range rapid.IntRange(1, 4).Draw(t, "slots") {
			all = append(all, draw(t))
		}
		parts := slots(all...)
		v := verdict.Join(parts)
		var statuses []verdict.Status
		sightings, identities := map[string]int{}, map[string]bool{}
		for _, p := range parts {
			statuses = append(statuses, p.Verdict.Status)
			for _, f := range p.Verdict.Findings {
				sightings[f.Identity] += f.Sightings
				identities[f.Identity] = true
			}
		}
		if want := verdict.Merge(statuses...); v.Status != want {
			t.Fatalf("%v became %s", statuses, v.Status)
		}
		for _, f := range v.Findings {
			if f.Sightings != sightings[f.Identity] || !slices.Contains(f.Slots, f.Slot) {
				t.Fatalf("%s: %d sightings, first in slot %d of %v", f.Identity, f.Sightings, f.Slot, f.Slots)
			}
		}
		if len(v.Findings) != len(identities) {
			t.Fatalf("%d findings of %d identities", len(v.Findings), len(identities))
		}
		if !bytes.Equal(asJSON(t, v), asJSON(t, verdict.Join(slots(all...)))) {
			t.Fatal("joined twice, it differs")
		}
	})
}
