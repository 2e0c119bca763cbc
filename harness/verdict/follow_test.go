// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"os"
	"strings"
	"testing"

	"plugstorm/harness/history"
	"plugstorm/harness/known"
	"plugstorm/harness/verdict"
)

// TestFollows: tasks that stay blocked in a guest where one has died of a known
// issue are that issue's. So are those of no other guest, and none where what
// killed the task is not known.
func TestFollows(t *testing.T) {
	data, err := os.ReadFile("../splat/testdata/fault/real-pseries-compaction-reset.txt")
	if err != nil {
		t.Fatal(err)
	}
	oops, _, _ := strings.Cut(string(data), "======== expected")
	blocked := history.Event{Type: history.Stuck, Guest: 1, Stuck: &history.Tasks{PIDs: []int{41}, For: 15 * second}}
	elsewhere := blocked
	elsewhere.Guest = 2
	stall := "[   58.000000][    C1] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [kworker/1:2:77]\n"
	starved := func(r *record) *record {
		return r.at(57, history.Event{Type: history.Host, Guest: 1, Starved: 0.9})
	}
	for _, c := range []struct {
		name string
		r    *record
		set  *known.Set
		want verdict.Status
	}{
		{"the oops alone", clean().say(1, 50, oops), known.Default(), verdict.Clean},
		{"tasks are stuck after it", clean().say(1, 50, oops).at(60, blocked), known.Default(), verdict.Clean},
		{"a stall after it, on a starved host", starved(clean().say(1, 50, oops).say(1, 60, stall)), known.Default(), verdict.Clean},
		{"a stall on a starved host", starved(clean().say(1, 60, stall)), known.Default(), verdict.Unknown},
		{"nobody knows it", clean().say(1, 50, oops).at(60, blocked), nil, verdict.Found},
		{"another oops", clean().say(1, 50, strings.ReplaceAll(oops, "0xc00c000000108000", "0xc000000006b10490")).at(60, blocked), known.Default(), verdict.Found},
		{"in another guest", clean().say(1, 50, oops).guest(2, 101).end(2, 130, "").at(120, elsewhere), known.Default(), verdict.Found},
		{"none has died", clean().at(60, blocked), known.Default(), verdict.Found},
	} {
		in := c.r.input()
		in.Known = c.set
		v := verdict.Judge(in)
		if v.Status != c.want {
			t.Errorf("%s: %s, want %s: %v %+v", c.name, v.Status, c.want, v.Why, v.Findings)
		}
		for _, f := range v.Findings {
			if c.want == verdict.Clean && f.Known != "compaction-reset-offline-memmap" {
				t.Errorf("%s: %q is known as %q", c.name, f.Title, f.Known)
			}
		}
	}
}
