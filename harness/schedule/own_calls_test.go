// SPDX-License-Identifier: Apache-2.0

package schedule_test

import (
	"strings"
	"testing"

	"plugstorm/harness/calls"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
)

var ownSites = []calls.Site{{Func: "kzalloc<<f", Errnos: []string{"NULL"}, Nth: 1}}

// kindsOf counts a lane's steps by kind, and those that have an own call fail.
func kindsOf(t *testing.T, list []schedule.Step) (kinds map[*op.Kind]int, own int) {
	t.Helper()
	kinds = map[*op.Kind]int{}
	for _, step := range list {
		kinds[step.Op.Kind]++
		if strings.Contains(text(t, step), "kzalloc\\u003c\\u003cf") {
			own++
		}
	}
	return kinds, own
}

// TestFailing: a lane that is the only one to do something has its calls fail as
// well, its own among them; lanes that share it don't; a seed decides; and without
// sites it is the scenario itself.
func TestFailing(t *testing.T) {
	m := vm.Machines.All()[0]
	s := &schedule.Scenario{Lanes: []schedule.Lane{
		lane("cpu", op.CPUOffline, op.CPUOnline), lane("dimm-a", op.DIMMAdd, op.DIMMRemove), lane("dimm-b", op.DIMMAdd),
	}}
	s.Lanes[0].CPUs, s.Lanes[1].DIMMs, s.Lanes[2].DIMMs = 1, 1, 1
	if s.Failing(nil, nil) != s {
		t.Error("without sites it isn't the scenario itself")
	}
	failing := s.Failing(ownSites, nil)
	drawn := steps(schedule.Sequences(failing, m, all, 7), 200)
	if kinds, own := kindsOf(t, drawn["cpu"]); kinds[op.CPUCallFailing] < 20 || own < 10 || kinds[op.CPUOffline] == 0 {
		t.Errorf("%d of 200 steps have calls fail, %d their own", kinds[op.CPUCallFailing], own)
	}
	if kinds, _ := kindsOf(t, drawn["dimm-a"]); kinds[op.DIMMAddCallFailing] > 0 {
		t.Error("an add fails that another lane may do")
	}
	again := steps(schedule.Sequences(s.Failing(ownSites, nil), m, all, 7), 200)
	if text(t, drawn) != text(t, again) {
		t.Error("a seed and sites don't decide")
	}
	if len(s.Lanes[0].Mix) != 2 {
		t.Error("the scenario itself has changed")
	}
}

// TestFailingCourses: a call fails in the course of what comes to its caller's file,
// of anything if that isn't known.
func TestFailingCourses(t *testing.T) {
	m := vm.Machines.All()[0]
	s := &schedule.Scenario{Lanes: []schedule.Lane{lane("cpu", op.CPUOffline, op.CPUOnline)}}
	s.Lanes[0].CPUs = 1
	for place, want := range map[string]bool{"kernel/cpu.c:f": true, "drivers/acpi/acpi_processor.c:f": false, "fs/pipe.c:f": true} {
		drawn := steps(schedule.Sequences(s.Failing(ownSites, places(t, place)), m, all, 7), 200)
		if _, own := kindsOf(t, drawn["cpu"]); (own > 0) != want {
			t.Errorf("%s: %d steps of CPUs have its call fail", place, own)
		}
	}
}

// TestFailingParts: each part has it, with its finale, which draws first what comes
// near.
func TestFailingParts(t *testing.T) {
	part := &schedule.Scenario{
		Name: "p", Lanes: []schedule.Lane{lane("vcpu", op.VCPUAdd, op.VCPURemove)},
		Finale: &schedule.Finale{Steps: 1, Mix: []schedule.Weight{{Kind: op.VCPUAddCallFailing, Weight: 1}, {Kind: op.BlockCallFailing, Weight: 1}, {Kind: op.BlockNotifierError, Weight: 1}}},
	}
	near := places(t, "drivers/acpi/acpi_processor.c:acpi_processor_add")
	s := schedule.InTurn("turns", "", 0, 0, part).Failing(ownSites, near)
	mix := s.Parts[0].Finale.Mix
	if mix[0].Weight <= mix[1].Weight || mix[2].Weight != 1 || part.Finale.Mix[0].Weight != 1 {
		t.Errorf("the finale's weights are %v, of the part itself %v", mix, part.Finale.Mix)
	}
	if len(s.Lanes[0].Mix) != 4 {
		t.Errorf("the lane does %v", s.Lanes[0].Mix)
	}
}
