// SPDX-License-Identifier: Apache-2.0

package schedule_test

import (
	"slices"
	"strings"
	"testing"

	"plugstorm/harness/schedule"
)

func TestGuestArgs(t *testing.T) {
	s := &schedule.Scenario{KernelArgs: []string{"always"}, Variants: [][]string{nil, {"a=1", "b=2"}, {"c=3"}}}
	seen := map[string]bool{}
	for seed := range int64(10) {
		for guest := 1; guest < 5; guest++ {
			args := s.GuestArgs(seed, guest)
			if again := s.GuestArgs(seed, guest); !slices.Equal(args, again) {
				t.Errorf("seed %d, guest %d: %q, then %q", seed, guest, args, again)
			}
			seen[strings.Join(args, " ")] = true
		}
	}
	want := []string{"always", "always a=1 b=2", "always c=3"}
	for _, args := range want {
		if !seen[args] {
			t.Errorf("no guest of 40 boots with %q", args)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("guests boot with %v, want only %q", seen, want)
	}
	if !slices.Equal(s.KernelArgs, []string{"always"}) {
		t.Errorf("the scenario itself has become %q", s.KernelArgs)
	}
	none := &schedule.Scenario{}
	if args := none.GuestArgs(1, 1); len(args) != 0 {
		t.Errorf("a scenario without arguments gives %q", args)
	}
}
