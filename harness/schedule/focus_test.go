// SPDX-License-Identifier: Apache-2.0

package schedule_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/focus"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
	"plugstorm/workloads"
)

// places reads places that a test names.
func places(t *testing.T, texts ...string) []focus.Place {
	t.Helper()
	all, err := focus.ParseAll(texts)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTouches: every op and workload says where in the kernel it leads, in words
// that can be read.
func TestTouches(t *testing.T) {
	nowhere := []string{op.VMPause.Name, op.WorkloadStartOp.Name, op.WorkloadStopOp.Name, workloads.Deadlock.Name}
	check := func(name string, touches []string) {
		if _, err := focus.ParseAll(touches); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if (len(touches) == 0) != slices.Contains(nowhere, name) {
			t.Errorf("%s touches %q", name, touches)
		}
		for _, text := range touches {
			if !strings.Contains(text, "/") {
				t.Errorf("%s touches %s, of which it doesn't say where it is", name, text)
			}
		}
	}
	for _, k := range op.Kinds.All() {
		check(k.Name, k.Touches)
	}
	for _, w := range agent.Workloads.All() {
		check(w.Name, w.Touches)
	}
}

// turns are three scenarios of which one draws a user of workqueues among others,
// one has it all the time, and one neither.
func turns() *schedule.Scenario {
	never := &schedule.Scenario{Name: "never", Lanes: []schedule.Lane{lane("pause", op.VMPause)}}
	work := lane("work", op.WorkloadStartOp, op.WorkloadStopOp)
	work.Workloads = []*agent.Workload{workloads.Reclaim, workloads.WorkqueueAttrs, workloads.NetnsChurn}
	drawn := &schedule.Scenario{Name: "drawn", Lanes: []schedule.Lane{work}}
	always := &schedule.Scenario{
		Name: "always", Lanes: []schedule.Lane{lane("pause", op.VMPause)},
		Workloads: []op.WorkloadStart{{ID: "w", Name: workloads.WorkqueueAttrs.Name}},
	}
	other := &schedule.Scenario{Name: "other", Lanes: []schedule.Lane{lane("pause", op.VMPause)}}
	return schedule.InTurn("turns", "", time.Minute, 10*time.Second, never, drawn, other, always)
}

// cycle names the parts of the first n guests.
func cycle(s *schedule.Scenario, seed int64, n int) string {
	var names []string
	for i := range n {
		names = append(names, s.Turn(seed, i+1).Part.Name)
	}
	return strings.Join(names, " ")
}

// TestTurnWithout: without a focus, or with one that nothing comes near, parts
// come in their order from the one that the seed says, a slice each.
func TestTurnWithout(t *testing.T) {
	s := turns()
	for _, none := range [][]focus.Place{nil, places(t, "sound/core/pcm.c", "snd_pcm_open")} {
		if s.Toward(none) != s {
			t.Fatalf("%v: it isn't the scenario itself", none)
		}
	}
	for seed, want := range map[int64]string{0: "never drawn other always never", 2: "other always never drawn other"} {
		if got := cycle(s, seed, 5); got != want {
			t.Errorf("seed %d: %s, want %s", seed, got, want)
		}
	}
	if turn := s.Turn(0, 4); turn.Slice != s.Slice {
		t.Errorf("a turn of %s", turn.Slice)
	}
	if one := scenario(); one.Turn(7, 3).Part.Name != one.Name || one.Turn(7, 3).Slice != 0 {
		t.Errorf("one without parts: %+v", one.Turn(7, 3))
	}
}

// TestTurnLength: turns are a slice at first, longer in every cycle, and four at
// most.
func TestTurnLength(t *testing.T) {
	s := turns()
	for n, slices := range map[int]time.Duration{1: 1, 4: 1, 5: 2, 8: 2, 9: 3, 13: 4, 17: 4, 400: 4} {
		if got := s.Turn(0, n).Slice; got != slices*s.Slice {
			t.Errorf("guest %d: %s, want %d slices", n, got, slices)
		}
	}
}

// TestTurnToward: who comes nearest comes first, and once more after the third, for
// longer if nobody runs the function itself; equals keep their order; and of as many
// parts as the hunt has a cycle takes no longer than without.
func TestTurnToward(t *testing.T) {
	s := turns()
	aimed := s.Toward(places(t, "kernel/workqueue.c:wq_nice_store"))
	for seed, want := range map[int64]string{
		0: "drawn always never drawn other drawn always",
		2: "always drawn other always never always drawn",
	} {
		if got := cycle(aimed, seed, 7); got != want {
			t.Errorf("seed %d: %s, want %s", seed, got, want)
		}
	}
	for place, long := range map[string]time.Duration{"kernel/workqueue.c:wq_nice_store": 2, "kernel/workqueue.c:idle_worker_timeout": 3} {
		many := schedule.InTurn("many", "", time.Minute, 10*time.Second, append(turns().Parts, turns().Parts[1:]...)...).Toward(places(t, place))
		total := time.Duration(0)
		for n := range len(many.Parts) + 1 {
			total += many.Turn(0, n+1).Slice
		}
		if without := time.Duration(len(many.Parts)) * many.Slice; total > without {
			t.Errorf("%s: a cycle takes %s, without a focus %s", place, total, without)
		}
		if got := many.Turn(0, 4); got.Part != many.Turn(0, 1).Part || got.Slice != long*many.Slice {
			t.Errorf("%s: the nearest comes again for %s", place, got.Slice)
		}
	}
	if cycle(s, 0, 4) != "never drawn other always" {
		t.Error("the scenario itself has changed")
	}
}

// TestTurnOfFew: a focus has no more turns than parts where there are few.
func TestTurnOfFew(t *testing.T) {
	all := turns().Parts
	for n, want := range map[int]string{1: "always always", 2: "always other", 3: "always drawn other always drawn"} {
		parts := map[int][]*schedule.Scenario{1: {all[3]}, 2: {all[2], all[3]}, 3: {all[1], all[2], all[3]}}[n]
		s := schedule.InTurn("few", "", time.Minute, time.Second, parts...).Toward(places(t, "kernel/workqueue.c"))
		if got := cycle(s, 0, len(strings.Fields(want))); got != want {
			t.Errorf("%d parts: %s, want %s", n, got, want)
		}
	}
}

// TestTowardDraws: what comes near is drawn more often, in the lane that drew it
// before, and the others still are; the same focus and seed give the same steps.
func TestTowardDraws(t *testing.T) {
	m := vm.Machines.All()[0]
	count := func(s *schedule.Scenario) map[string]int {
		started := map[string]int{}
		for _, step := range steps(schedule.Sequences(s, m, all, 7), 400)["work"] {
			if start, ok := step.Op.Op.(*op.WorkloadStart); ok {
				started[start.Name]++
			}
		}
		return started
	}
	s := turns().Parts[1]
	aimed := s.Toward(places(t, "kernel/workqueue.c"))
	plain, near := count(s), count(aimed)
	name := workloads.WorkqueueAttrs.Name
	if near[name] < 3*plain[name]/2 {
		t.Errorf("it was started %d times, without a focus %d times", near[name], plain[name])
	}
	if near[workloads.Reclaim.Name] == 0 || near[workloads.NetnsChurn.Name] == 0 {
		t.Errorf("nobody else is left: %v", near)
	}
	again := s.Toward(places(t, "kernel/workqueue.c"))
	if text(t, steps(schedule.Sequences(aimed, m, all, 7), 50)) != text(t, steps(schedule.Sequences(again, m, all, 7), 50)) {
		t.Error("the same focus and seed give other steps")
	}
}

// TestTowardKeeps: who calls the function itself runs all the time and isn't drawn
// any more, also in a scenario that is a part; who does so already is left alone.
func TestTowardKeeps(t *testing.T) {
	m := vm.Machines.All()[0]
	s := turns().Toward(places(t, "kernel/workqueue.c:wq_nice_store"))
	for n, want := range map[int][]string{1: {"near-workqueue-attrs"}, 3: {"w"}} {
		var ids []string
		for _, w := range s.Parts[n].Workloads {
			ids = append(ids, w.ID)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("part %s runs %q all the time, want %q", s.Parts[n].Name, ids, want)
		}
	}
	for _, step := range steps(schedule.Sequences(s, m, all, 7), 200)["drawn/work"] {
		if start, ok := step.Op.Op.(*op.WorkloadStart); ok && start.Name == workloads.WorkqueueAttrs.Name {
			t.Fatal("it is drawn, too")
		}
	}
	if len(turns().Parts[1].Workloads) > 0 {
		t.Error("the scenario itself has changed")
	}
}

// TestTowardMix: ops that come near weigh more, and no other lane's steps change.
func TestTowardMix(t *testing.T) {
	m := vm.Machines.All()[0]
	s := scenario()
	aimed := s.Toward(places(t, "mm/hugetlb.c:dissolve_free_hugetlb_folios")) // only when a block goes offline
	plain, near := steps(schedule.Sequences(s, m, all, 7), 200), steps(schedule.Sequences(aimed, m, all, 7), 200)
	offline := func(list []schedule.Step) (n int) {
		for _, step := range list {
			if step.Op.Kind == op.BlockOffline || step.Op.Kind == op.DIMMRemove {
				n++
			}
		}
		return n
	}
	if a, b := offline(plain["dimm-b"]), offline(near["dimm-b"]); b <= a {
		t.Errorf("%d steps that offline memory, without a focus %d", b, a)
	}
	for _, name := range []string{"cpu", "vcpu", "workload", "pause"} {
		if text(t, plain[name]) != text(t, near[name]) {
			t.Errorf("lane %s draws otherwise", name)
		}
	}
}
