// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"plugstorm/guests"
	"plugstorm/harness/blame"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
)

// TestOneLane: a scenario in one lane does every kind of op that it does in
// several, with all of its devices.
func TestOneLane(t *testing.T) {
	for _, s := range schedule.Scenarios.All() {
		one, err := schedule.Find(s.Name + schedule.OneLane)
		if err != nil {
			t.Fatal(err)
		}
		if one.Name != s.Name+schedule.OneLane || one.Slice != s.Slice || len(one.Parts) != len(s.Parts) {
			t.Errorf("%s: %+v", s.Name, one)
		}
		if want := max(1, len(s.Parts)); len(one.Lanes) != want {
			t.Errorf("%s has %d lanes, want %d", one.Name, len(one.Lanes), want)
		}
		if want, got := kinds(s), kinds(one); want != got {
			t.Errorf("%s does\n%s, and in one lane\n%s", s.Name, want, got)
		}
	}
	if s, err := schedule.Find("storm"); err != nil || s != schedule.Scenarios.All()[index("storm")] {
		t.Error("without the suffix it is the scenario itself")
	}
	if _, err := schedule.Find("squall" + schedule.OneLane); blame.Of(err) != blame.User {
		t.Errorf("an unknown one: %v", err)
	}
}

func index(name string) int {
	for i, s := range schedule.Scenarios.All() {
		if s.Name == name {
			return i
		}
	}
	return -1
}

// kinds lists the kinds of ops that a scenario's lanes can draw.
func kinds(s *schedule.Scenario) string {
	seen := map[string]bool{}
	for _, lane := range s.Lanes {
		for _, w := range lane.Mix {
			seen[w.Kind.Name] = true
		}
	}
	var b strings.Builder
	for _, k := range op.Kinds.All() {
		if seen[k.Name] {
			b.WriteString(k.Name + "\n")
		}
	}
	return b.String()
}

// TestOneLaneOfStorm: what comes seldom in a lane of its own comes seldom here,
// and nothing is forgotten.
func TestOneLaneOfStorm(t *testing.T) {
	s, err := schedule.Find("storm" + schedule.OneLane)
	if err != nil {
		t.Fatal(err)
	}
	q := schedule.Sequences(s, guests.X8664, vm.Budget{VCPURemove: true, VCPUAdds: 1000}, 1)[0]
	count := map[*op.Kind]int{}
	for range 2000 {
		step, ok := q.Next()
		if !ok {
			t.Fatal("it ends")
		}
		if step.Gap != 0 || step.Meet != nil {
			t.Fatalf("it pauses, or meets somebody: %+v", step)
		}
		count[step.Op.Kind]++
		q.Begin()
	}
	for _, k := range []*op.Kind{op.DIMMAdd, op.DIMMRemove, op.BlockOffline, op.CPUOffline, op.VCPURemove, op.WorkloadStartOp, op.VMPause} {
		if count[k] == 0 {
			t.Errorf("no %s among 2000 steps", k.Name)
		}
	}
	if count[op.VMPause]*10 > count[op.DIMMAdd] {
		t.Errorf("%d pauses and %d DIMMs: a lane that rests for seconds isn't to come as often as one that doesn't", count[op.VMPause], count[op.DIMMAdd])
	}
}
