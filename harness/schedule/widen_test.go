// SPDX-License-Identifier: Apache-2.0

package schedule_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/rules"
	"plugstorm/harness/schedule"
)

// TestWidenings: delays depend on seed and guest only, and stay within bounds.
func TestWidenings(t *testing.T) {
	s := &schedule.Scenario{Widen: []schedule.Widening{
		{Func: "kernfs_drain", Max: 2 * time.Millisecond}, {Func: "online_pages", Max: time.Second},
	}}
	limit := map[string]time.Duration{"kernfs_drain": 2 * time.Millisecond, "online_pages": rules.MaxDelay}
	drawn, different := 0, 0
	for guest := 1; guest <= 50; guest++ {
		got := s.Widenings(7, guest)
		if diff := cmp.Diff(got, s.Widenings(7, guest)); diff != "" {
			t.Fatal(diff)
		}
		if cmp.Diff(got, s.Widenings(8, guest)) != "" {
			different++
		}
		for _, w := range got {
			drawn++
			if w.Delay <= 0 || w.Delay > limit[w.Func] || w.Delay%time.Microsecond != 0 {
				t.Errorf("guest %d: %v", guest, w)
			}
		}
	}
	if drawn < 25 || drawn > 75 || different < 25 {
		t.Errorf("%d of 100 delays drawn, %d guests of 50 differ with the seed", drawn, different)
	}
	if got := (&schedule.Scenario{}).Widenings(7, 1); got != nil {
		t.Errorf("drawn from nothing: %v", got)
	}
}
