// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/verdict"
)

// TestPrefixIsNeverClean cuts a clean run at every byte.
func TestPrefixIsNeverClean(t *testing.T) {
	r := clean()
	if s := r.judge().Status; s != verdict.Clean {
		t.Fatalf("the whole record is %s", s)
	}
	data := r.file(t)
	for n := range len(data) {
		if s := judgeFile(data[:n], r.consoles); s == verdict.Clean {
			t.Fatalf("clean without its last %d bytes: %s", len(data)-n, data[n:])
		}
	}
}

// judgeFile judges a history's file; what can't be read is unknown.
func judgeFile(data string, consoles map[int][]byte) verdict.Status {
	h, err := history.Parse(strings.NewReader(data))
	if err != nil {
		return verdict.Unknown
	}
	return verdict.Judge(verdict.Input{History: h, Consoles: consoles}).Status
}

// draw makes a run of some guests, which may well be clean.
func draw(t *rapid.T) *record {
	r := begin()
	now := 0.0
	later := func() float64 {
		now += rapid.Float64Range(0, 50).Draw(t, "pause")
		return now
	}
	for number := range rapid.IntRange(1, 4).Draw(t, "guests") {
		guest := number + 1
		r.guest(guest, later())
		now += 10
		for range rapid.IntRange(0, 5).Draw(t, "events") {
			what := rapid.SampledFrom([]string{"step", "step", "step", "open", "say", "warn", "blind", "silent", "fault", "workload"}).Draw(t, "event")
			drawEvent(t, r, guest, what, later)
		}
		r.end(guest, later(), rapid.SampledFrom([]string{"", "host-qmp-quit", "guest-reset"}).Draw(t, "shutdown"))
	}
	return r.finished(later())
}

func drawEvent(t *rapid.T, r *record, guest int, what string, later func() float64) {
	outcomes := append([]op.Outcome{"", op.Done, op.Done}, op.Outcomes...)
	switch what {
	case "step":
		r.step(guest, later(), later(), addDIMM("dimm0"), rapid.SampledFrom(outcomes).Draw(t, "outcome"))
	case "open":
		r.begun(guest, later(), step("cpu", "cpu-offline", `{"cpu":1}`))
	case "say":
		r.say(guest, later(), "[   17.000000][   T12] lpar: Attempting to resize HPT to shift 21\n")
	case "warn":
		r.say(guest, later(), warning(rapid.SampledFrom([]string{"f", "g", "h"}).Draw(t, "function")))
	case "blind":
		r.at(later(), history.Event{Type: history.Blind, Guest: guest})
	case "silent":
		r.at(later(), history.Event{Type: history.Silent, Guest: guest})
	case "fault":
		r.at(later(), history.Event{Type: history.Fault, Guest: guest, Party: "host", Text: "no memory"})
	case "workload":
		r.at(later(), history.Event{Type: history.Workload, Guest: guest, Text: `{"name":"slab-storm","rounds":7}`})
	}
}

// TestProperties: whatever happens in a run, a prefix of its record is never
// clean; judging twice gives the same verdict; and a finding stays a finding
// however the record goes on.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := draw(t)
		first := asJSON(t, r.judge())
		for range 2 {
			if again := asJSON(t, r.judge()); !bytes.Equal(first, again) {
				t.Fatalf("judged twice:\n%s\n%s", first, again)
			}
		}
		var lines []string
		for _, e := range r.events {
			line, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, string(line)+"\n")
		}
		data := strings.Join(lines, "")
		n := rapid.IntRange(0, len(data)-1).Draw(t, "cut")
		if s := judgeFile(data[:n], r.consoles); s == verdict.Clean {
			t.Fatalf("clean without %s", data[n:])
		}
		whole := r.judge().Status
		r.events = r.events[:rapid.IntRange(1, len(r.events)).Draw(t, "events kept")]
		if s := r.judge().Status; s == verdict.Found && whole != verdict.Found {
			t.Fatalf("a finding became %s as the record went on", whole)
		}
	})
}

// TestManyDoubtsAreInOrder: reasons come from maps, and still always in the
// same order.
func TestManyDoubtsAreInOrder(t *testing.T) {
	r := begin()
	for guest := 1; guest <= 9; guest++ {
		r.guest(guest, float64(20*guest))
		for _, kind := range op.Kinds.Names() {
			r.step(guest, 1, 2, step("lane", kind, `{}`), op.Broken)
		}
	}
	r.consoles = nil
	first := asJSON(t, r.judge())
	for range 20 {
		if again := asJSON(t, r.judge()); !bytes.Equal(first, again) {
			t.Fatalf("judged twice:\n%s\n%s", first, again)
		}
	}
}

type fataler interface{ Fatal(...any) }

func asJSON(t fataler, v *verdict.Verdict) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestDamagedRecords: events in any order, with any numbers, give a verdict.
// It isn't clean without something done, and it takes no time or memory to
// speak of.
func TestDamagedRecords(t *testing.T) {
	types := []history.Type{
		history.RunStart, history.GuestStart, history.AgentUp, history.Console, history.StepBegin, history.StepEnd,
		history.Complaint, history.Blind, history.Silent, history.Workload, history.GuestEnd, history.Fault, history.RunEnd, "gossip",
	}
	number := rapid.OneOf(rapid.IntRange(-1, 3), rapid.SampledFrom([]int{math.MinInt, math.MaxInt}))
	wide := rapid.OneOf(rapid.Int64Range(-1, 400), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, int64(time.Hour), -int64(time.Hour)}))
	rapid.Check(t, func(t *rapid.T) {
		h := &history.History{}
		for range rapid.IntRange(0, 20).Draw(t, "events") {
			e := history.Event{
				Type: rapid.SampledFrom(types).Draw(t, "type"), At: time.Duration(wide.Draw(t, "at")),
				Guest: number.Draw(t, "guest"), Seq: number.Draw(t, "seq"), Offset: wide.Draw(t, "offset"),
				Outcome: rapid.SampledFrom(append([]op.Outcome{"", "odd"}, op.Outcomes...)).Draw(t, "outcome"),
				Text:    rapid.SampledFrom([]string{"", "{}", `{"name":"\u001b"}`, "null", "\xff"}).Draw(t, "text"),
			}
			if rapid.Bool().Draw(t, "has a step") {
				e.Step = addDIMM("dimm0")
			}
			h.Events = append(h.Events, e)
		}
		consoles := map[int][]byte{1: []byte(bootLog + warning("f")), 3: nil}
		v := verdict.Judge(verdict.Input{History: h, Consoles: consoles})
		asJSON(t, v)
		if v.Status == verdict.Clean && v.Ops["dimm-add"].Outcomes[op.Done] == 0 {
			t.Fatalf("clean, and nothing was done: %+v", v)
		}
	})
}
