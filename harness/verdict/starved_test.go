// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"strings"
	"testing"

	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/verdict"
)

// hosted is a run whose QEMU was starved by share, from second 5 to 55.
func hosted(share float64) *record {
	r := begin().guest(1, 1)
	for s := 5.0; s <= 55; s += 5 {
		r.at(s, history.Event{Type: history.Host, Guest: 1, Starved: share})
	}
	return r
}

// TestStarved: what a starved guest says about time is the host's fault; what
// it says about locks and memory is as true as ever.
func TestStarved(t *testing.T) {
	hung := func(share float64) *verdict.Verdict {
		return hosted(share).step(1, 12, 13, addDIMM("dimm0"), op.Done).
			step(1, 20, 50, addDIMM("dimm1"), op.Hung).end(1, 60, "").finished(61).judge()
	}
	if v := hung(0.4); v.Status != verdict.Found || len(v.Findings) != 1 {
		t.Errorf("a busy host excused a hang: %s, %+v", v.Status, v.Findings)
	}
	v := hung(0.8)
	if v.Status != verdict.Unknown || len(v.Findings) != 0 {
		t.Errorf("a starved guest's hang is a finding: %s, %+v", v.Status, v.Findings)
	}
	if len(v.Faults) != 1 || v.Faults[0].Party != "host" || !strings.Contains(v.Faults[0].Text, "80 %") {
		t.Errorf("the host's fault is not told: %+v", v.Faults)
	}
	warned := hosted(0.8).step(1, 12, 13, addDIMM("dimm0"), op.Done).
		say(1, 30, warning("switch_mm_irqs_off")).end(1, 60, "").finished(61).judge()
	if warned.Status != verdict.Found {
		t.Errorf("a starved guest's warning is %s", warned.Status)
	}
}

// TestInitDied: the death of our own PID 1 is nobody's proof.
func TestInitDied(t *testing.T) {
	const panic = "[  130.246349][   T75] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\n" +
		"[  130.249409][   T75] Call Trace:\n[  130.249598][   T75]  do_exit+0x16a/0x8f2\n" +
		"[  130.249598][   T75] ---[ end Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b ]---\n"
	v := begin().guest(1, 1).step(1, 12, 13, addDIMM("dimm0"), op.Done).say(1, 30, panic).end(1, 60, "").finished(61).judge()
	if v.Status != verdict.Unknown || len(v.Findings) != 0 || len(v.Faults) != 1 {
		t.Errorf("%s, findings %+v, faults %+v", v.Status, v.Findings, v.Faults)
	}
}
