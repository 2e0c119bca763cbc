// SPDX-License-Identifier: Apache-2.0

package schedule_test

import (
	"testing"
	"time"

	"plugstorm/guests"
	"plugstorm/harness/schedule"
)

func TestMaxMiB(t *testing.T) {
	small := &schedule.Scenario{Name: "small", Lanes: []schedule.Lane{{Name: "cpu", CPUs: 1}}}
	large := &schedule.Scenario{Name: "large", ColdDIMMs: 1, Lanes: []schedule.Lane{{Name: "a", DIMMs: 2, MaxUnits: 3}, {Name: "b", DIMMs: 1}}}
	m := guests.X8664
	if got := small.MaxMiB(m); got != m.MemMiB {
		t.Errorf("%d MiB without a DIMM", got)
	}
	const units = 2 + 2*3 + 1
	if got, want := large.MaxMiB(m), m.MemMiB+units*m.DIMM.UnitMiB; got != want {
		t.Errorf("%d MiB, want %d", got, want)
	}
	turns := schedule.InTurn("turns", "one after the other", time.Minute, time.Second, small, large)
	if got, want := turns.MaxMiB(m), large.MaxMiB(m); got != want {
		t.Errorf("%d MiB in turn, want those of the largest part, %d", got, want)
	}
}
