// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"encoding/json"
	"strings"
	"testing"

	"plugstorm/harness/history"
	"plugstorm/harness/splat"
	"plugstorm/harness/verdict"
	"plugstorm/harness/waitgraph"
)

const (
	noted = waitgraph.Header + "\ndebug_locks 1\nlost takes=0 waits=0 works=0\n" +
		"wait stop thread:kcompactd# n=2 inst=(null) many=0 held=L:w:l name= stack=kthread_stop<kcompactd_stop<offline_pages\n"
	taken = "take thread:kcompactd# key=L mode=r n=3 inst=l many=0 at=kcompactd held=- lock=mem_hotplug_lock\n"
)

func waitsEvent(t *testing.T, r waitgraph.Record) history.Event {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return history.Event{Type: history.Waits, Guest: 1, Text: string(text)}
}

// TestWaits: what was noted is judged anew, a cycle once a guest, and what is
// missing is said.
func TestWaits(t *testing.T) {
	order := waitgraph.Header + "\nclass 1 L mem_hotplug_lock\n"
	for name, tt := range map[string]struct {
		records  []waitgraph.Record
		findings int
		why      string
	}{
		"nothing":      {[]waitgraph.Record{{}, {Waits: noted, Order: order}}, 0, ""},
		"a cycle":      {[]waitgraph.Record{{}, {Waits: noted + taken, Order: order}, {Waits: noted + taken, Order: order}}, 1, ""},
		"not there":    {[]waitgraph.Record{{Why: "no module"}}, 0, "guest 1: not looked at: no module"},
		"lost":         {[]waitgraph.Record{{}}, 0, "guest 1: what it noted is lost with it"},
		"too much":     {[]waitgraph.Record{{Waits: strings.Replace(noted, "takes=0", "takes=3", 1), Order: order}}, 0, "3 sightings found no room"},
		"lockdep off":  {[]waitgraph.Record{{Waits: strings.Replace(noted, "debug_locks 1", "debug_locks 0", 1) + taken, Order: order}}, 1, "lockdep was off"},
		"order lost":   {[]waitgraph.Record{{Waits: noted + taken}}, 1, "lockdep's order could not be read"},
		"bad line":     {[]waitgraph.Record{{Waits: noted + "take\n", Order: order}}, 0, "1 lines"},
		"missing hook": {[]waitgraph.Record{{Waits: noted + "probe kernfs_drain state=unavailable:2\n", Order: order}}, 0, "not watched: kernfs_drain"},
	} {
		t.Run(name, func(t *testing.T) {
			r := clean()
			for i, record := range tt.records {
				r.at(20+float64(i), waitsEvent(t, record))
			}
			v := r.judge()
			if len(v.Findings) != tt.findings || len(v.Faults) != 0 {
				t.Fatalf("%+v %+v", v.Findings, v.Faults)
			}
			for _, f := range v.Findings {
				if f.Type != splat.TypeWaitCycle || f.Sightings != 1 || f.Stack[0] != "kthread_stop" || v.Status != verdict.Found {
					t.Errorf("%+v", f)
				}
			}
			if got := strings.Join(v.Waits.Why, "; "); !strings.Contains(got, tt.why) || tt.why == "" && got != "" {
				t.Errorf("%q, want %q", got, tt.why)
			}
			joined := verdict.Join([]verdict.Part{{Slot: 1, Verdict: v}, {Slot: 2, Verdict: v}})
			if joined.Waits.Guests != 2*v.Waits.Guests || len(joined.Waits.Why) != 2*len(v.Waits.Why) {
				t.Errorf("joined %+v", joined.Waits)
			}
		})
	}
	if v := clean().judge(); v.Waits != nil {
		t.Errorf("of a record that nobody looked at: %+v", v.Waits)
	}
	if v := clean().at(20, history.Event{Type: history.Waits, Guest: 1, Text: `{"waits":"nonsense"}`}).judge(); len(v.Faults) != 1 {
		t.Errorf("of nonsense: %+v", v.Faults)
	}
}

// TestWaitsTogether: what two guests have seen half of each is a finding of the one
// that saw the second half, and one of two slots that saw one each. What a damaged
// guest says counts for nobody.
func TestWaitsTogether(t *testing.T) {
	order := waitgraph.Header + "\nclass 1 L mem_hotplug_lock\nkey L mem_hotplug_lock+0x0/0x80\n"
	halves := []waitgraph.Record{{Waits: noted, Order: order}, {Waits: waitgraph.Header + "\ndebug_locks 1\nlost takes=0 waits=0 works=0\n" + taken, Order: order}}
	told := func(guest int, r waitgraph.Record) history.Event {
		e := waitsEvent(t, r)
		e.Guest = guest
		return e
	}
	v := clean().guest(2, 61).at(62, told(1, halves[0])).at(63, told(2, halves[1])).at(64, told(2, halves[1])).judge()
	if len(v.Findings) != 1 || v.Findings[0].Guest != 2 || v.Findings[0].Sightings != 1 || v.Status != verdict.Found {
		t.Fatalf("%+v", v.Findings)
	}
	if text := v.Findings[0].Explain; !strings.Contains(text, "in guest 1 ") || !strings.Contains(text, "in guest 2,") {
		t.Error(text)
	}
	damaged := history.Event{Type: history.Snapshot, Guest: 1, Disowned: true}
	if v := clean().guest(2, 61).at(62, told(1, halves[0])).at(63, told(2, halves[1])).at(64, damaged).judge(); len(v.Findings) != 0 {
		t.Errorf("with a damaged guest: %+v", v.Findings)
	}

	slots := func(records ...*record) *verdict.Verdict {
		var parts []verdict.Part
		for i, r := range records {
			parts = append(parts, verdict.Part{Slot: i + 1, Verdict: r.judge()})
		}
		return verdict.Join(parts)
	}
	for name, tt := range map[string]struct {
		joined   *verdict.Verdict
		findings int
	}{
		"a half each":     {slots(clean().at(20, told(1, halves[0])), clean().at(20, told(1, halves[1]))), 1},
		"the same half":   {slots(clean().at(20, told(1, halves[0])), clean().at(20, told(1, halves[0]))), 0},
		"damaged":         {slots(clean().at(20, told(1, halves[0])).at(21, damaged), clean().at(20, told(1, halves[1]))), 0},
		"one has it all":  {slots(clean().at(20, told(1, halves[0])), clean().at(20, told(1, waitgraph.Record{Waits: noted + taken, Order: order}))), 1},
		"one left no log": {verdict.Join([]verdict.Part{{Slot: 1, Verdict: verdict.Lost("gone")}, {Slot: 2, Verdict: clean().at(20, told(1, halves[0])).judge()}}), 0},
	} {
		v := tt.joined
		if len(v.Findings) != tt.findings || tt.findings > 0 && (v.Status != verdict.Found || v.Findings[0].Slot != 2 || v.Findings[0].Guest != 1) {
			t.Errorf("%s: %s %+v", name, v.Status, v.Findings)
		}
		if name == "a half each" && !strings.Contains(v.Findings[0].Explain, "in slot 1 guest 1 ") {
			t.Error(v.Findings[0].Explain)
		}
	}
}
