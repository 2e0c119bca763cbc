// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"os"
	"strings"
	"testing"

	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/verdict"
)

// TestStarved: what a guest says about time while the host keeps its QEMU from
// running is the host's fault. It is no finding, and no pass either.
func TestStarved(t *testing.T) {
	host := func(r *record, guest int, at, share float64) *record {
		return r.at(at, history.Event{Type: history.Host, Guest: guest, Starved: share})
	}
	hung := func() *record { return clean().step(1, 70, 100, addDIMM("dimm1"), op.Hung) }
	stuck := func() *record {
		return clean().at(100, history.Event{Type: history.Stuck, Guest: 1, Stuck: &history.Tasks{PIDs: []int{41}, For: 15 * second}})
	}
	silent := clean().at(100, history.Event{Type: history.Silent, Guest: 1, Text: "no heartbeat"})
	stall := clean().say(1, 100, "[   98.000000][    C1] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [kworker/1:2:77]\n")
	abba, err := os.ReadFile("../splat/testdata/hung_task/x86-abba.txt")
	if err != nil {
		t.Fatal(err)
	}
	deadlock, _, _ := strings.Cut(string(abba), "======== expected")
	for _, tt := range []struct {
		name   string
		record *record
		want   verdict.Status
	}{
		{"an idle host", hung(), verdict.Found},
		{"a busy host", host(hung(), 1, 99, 0.3), verdict.Found},
		{"half of the time", host(hung(), 1, 99, 0.5), verdict.Found},
		{"a hung step", host(hung(), 1, 99, 0.9), verdict.Unknown},
		{"a silent guest", host(silent, 1, 99, 0.9), verdict.Unknown},
		{"a soft lockup", host(stall, 1, 99, 0.9), verdict.Unknown},
		{"starved for half of the window", host(host(hung(), 1, 45, 0.9), 1, 99, 0.0), verdict.Found},
		{"starved for most of the window", host(host(host(hung(), 1, 45, 0.9), 1, 70, 0.9), 1, 99, 0.2), verdict.Unknown},
		{"starved long before", host(hung(), 1, 39, 0.9), verdict.Found},
		{"starved long after", host(hung(), 1, 120, 0.9), verdict.Found},
		{"another guest starved", host(hung(), 2, 99, 0.9), verdict.Found},
		{"tasks that wait for each other", host(clean().say(1, 100, deadlock), 1, 99, 0.9), verdict.Found},
		{"tasks stuck after the storm", host(stuck(), 1, 99, 0.9), verdict.Found},
		{"a hung task after that", host(stuck().say(1, 101, hungTask), 1, 99, 0.9), verdict.Found},
		{"a hung task before that", host(clean().say(1, 98, hungTask).step(1, 70, 100, addDIMM("dimm1"), op.Done), 1, 97, 0.9), verdict.Unknown},
		{"a hung task long before that, excused", host(stuck().say(1, 28, hungTask), 1, 27, 0.9), verdict.Found},
		{"a hung task that is reported twice", host(host(clean().say(1, 98, hungTask+"[   40.0][   T64] x\n"+hungTask), 1, 97, 0.9), 1, 98, 0.9), verdict.Unknown},
		{"a complaint that has nothing to do with time", host(clean().say(1, 100, warning("f")), 1, 99, 0.9), verdict.Found},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.record.input()
			in.Consoles[2] = nil
			v := verdict.Judge(in)
			if v.Status != tt.want {
				t.Fatalf("%s, want %s: %+v %q", v.Status, tt.want, v.Findings, v.Why)
			}
			if tt.want == verdict.Unknown && (len(v.Findings) > 0 || len(v.Faults) != 1 || v.Faults[0].Party != "host" || v.Faults[0].Next == "" ||
				!strings.Contains(v.Faults[0].Text, "not to be trusted")) {
				t.Errorf("%+v, %+v", v.Findings, v.Faults)
			}
		})
	}
}
