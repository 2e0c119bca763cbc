// SPDX-License-Identifier: Apache-2.0

package schedule_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"plugstorm/guests"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// withFinale is the scenario with a finale of n of its failing kinds.
func withFinale(n int) *schedule.Scenario {
	s := scenario()
	s.Finale = &schedule.Finale{
		Steps: n,
		Mix: lane("", op.BlockNotifierError, op.BlockInterrupted, op.BlockCallFailing, op.CPUFailing, op.DIMMAddCallFailing,
			op.PgmapFailing).Mix,
		Users: []op.WorkloadStart{{ID: "user", Name: workloads.Aftermath.Name}, {ID: "module", Name: workloads.SlabStorm.Name}},
	}
	return s
}

func sequences(s *schedule.Scenario, seed int64) []*schedule.Sequence {
	return schedule.Sequences(s, guests.X8664, all, seed)
}

func believed(*op.State) {}

// finale is all of a guest's.
func finale(s *schedule.Scenario, lanes []*schedule.Sequence, seed int64, n int, look func(*op.State)) []schedule.Step {
	var steps []schedule.Step
	d := schedule.NewFinale(s, lanes, seed, n)
	for step, ok := d.Next(look); ok; step, ok = d.Next(look) {
		steps = append(steps, step)
	}
	return steps
}

// TestFinale: every kind comes at most once, in the order of the mix, and a DIMM
// is there for them.
func TestFinale(t *testing.T) {
	s := withFinale(4)
	kinds := map[*op.Kind]int{}
	for n := 1; n <= 50; n++ {
		looks := 0
		got := finale(s, sequences(s, 1), 1, n, func(st *op.State) {
			if looks++; looks > len(s.Lanes) && len(st.DIMMSlots) > 2 { // the first step has plugged it
				st.DIMMs["dimm4"] = op.DIMM{MiB: 128, Offline: map[int]bool{}}
			}
		})
		if len(got) != 5 || got[0].Op.Kind != op.DIMMAdd {
			t.Fatalf("guest %d: %s", n, text(t, got))
		}
		last := -1
		for i, step := range got {
			at := slices.IndexFunc(s.Finale.Mix, func(w schedule.Weight) bool { return w.Kind == step.Op.Kind })
			if step.Lane != schedule.FinaleLane || step.Index != i || step.Finale != n || i > 0 && at <= last {
				t.Errorf("guest %d, step %d: %s", n, i, text(t, got))
			}
			last = at
			kinds[step.Op.Kind]++
		}
	}
	if len(kinds) != 1+len(s.Finale.Mix) {
		t.Errorf("of %d kinds only %d come", len(s.Finale.Mix), len(kinds)-1)
	}
	if got := finale(scenario(), sequences(s, 1), 1, 1, believed); got != nil {
		t.Errorf("without one: %s", text(t, got))
	}
}

// TestFinaleLeavesNoTrace: the same seed gives the same finale of a guest, and
// the lanes go on as if there had been none.
func TestFinaleLeavesNoTrace(t *testing.T) {
	s := withFinale(6)
	plain, interrupted := sequences(s, 7), sequences(s, 7)
	want := text(t, steps(plain, 20))
	again := text(t, finale(s, interrupted, 7, 1, believed))
	if first := text(t, finale(s, interrupted, 7, 1, believed)); first != again {
		t.Errorf("drawn twice:\n%s\n%s", first, again)
	}
	if other := text(t, finale(s, interrupted, 7, 2, believed)); other == again {
		t.Error("two guests have the same finale")
	}
	if got := text(t, steps(interrupted, 20)); got != want {
		t.Errorf("after a finale:\n%s\nwithout:\n%s", got, want)
	}
	if after := finale(s, interrupted, 7, 1, believed); after[0].Op.Kind == op.DIMMAdd {
		t.Errorf("a lane has a DIMM, and another one is plugged: %s", text(t, after))
	}
}

// TestFinaleLooks: what fails is drawn from what the guest has, and the lanes
// don't learn of it.
func TestFinaleLooks(t *testing.T) {
	s := withFinale(1)
	s.Finale.Mix = lane("", op.BlockNotifierError).Mix
	lanes := sequences(s, 1)
	got := finale(s, lanes, 1, 1, func(st *op.State) {
		if len(st.DIMMSlots) > 2 {
			st.DIMMs["dimm4"] = op.DIMM{MiB: 128, Offline: map[int]bool{}}
		}
	})
	if len(got) != 1 || !strings.Contains(text(t, got), `"dimm":"dimm4"`) {
		t.Errorf("got %s", text(t, got))
	}
	for _, q := range lanes {
		if setup := q.Setup(); len(setup) > 0 {
			t.Errorf("lane %s has %s", q.Lane(), text(t, setup))
		}
	}
}

// TestFinaleFreesVCPU: where all vCPUs are there, one goes before one is added, and
// no second one.
func TestFinaleFreesVCPU(t *testing.T) {
	s := withFinale(1)
	s.Finale.Mix = lane("", op.VCPUAddCallFailing).Mix
	firstDIMM := op.DIMMAdd
	for _, tt := range []struct {
		name   string
		absent bool // after the first look
		want   []*op.Kind
	}{
		{"it goes", true, []*op.Kind{firstDIMM, op.VCPURemove, op.VCPUAddCallFailing}},
		{"it stays", false, []*op.Kind{firstDIMM, op.VCPURemove}},
	} {
		removed := false
		d := schedule.NewFinale(s, sequences(s, 1), 1, 1)
		look := func(st *op.State) {
			for _, i := range st.VCPUSlots {
				if delete(st.VCPUs, i); !removed || !tt.absent {
					st.VCPUs[i] = true
				}
			}
		}
		var got []*op.Kind
		for step, ok := d.Next(look); ok; step, ok = d.Next(look) {
			got = append(got, step.Op.Kind)
			removed = removed || step.Op.Kind == op.VCPURemove
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %d steps", tt.name, len(got))
		}
	}
}

// TestRecordedFinale: a replay takes finales by their guest, and no lane takes
// their steps.
func TestRecordedFinale(t *testing.T) {
	s := withFinale(2)
	lanes := sequences(s, 3)
	recorded := slices.Concat(steps(lanes, 2)["cpu"], finale(s, lanes, 3, 1, believed), finale(s, lanes, 3, 2, believed))
	var saved []schedule.Step
	if err := json.Unmarshal([]byte(text(t, recorded)), &saved); err != nil {
		t.Fatal(err)
	}
	fresh := sequences(s, 99)
	if err := schedule.Replay(fresh, saved); err != nil {
		t.Fatal(err)
	}
	for name, taken := range steps(fresh, 100) {
		if want := map[bool]int{true: 2}[name == "cpu"]; len(taken) != want {
			t.Errorf("lane %s replays %d steps, want %d", name, len(taken), want)
		}
	}
	if got, want := text(t, schedule.RecordedFinale(saved, 2)), text(t, finale(s, lanes, 3, 2, believed)); got != want {
		t.Errorf("replayed:\n%s\nrecorded:\n%s", got, want)
	}
	if got := schedule.RecordedFinale(saved, 3); len(got) != 0 {
		t.Errorf("guest 3 had none, and replays %s", text(t, got))
	}
}

// TestPrebuiltFinale: users that need our modules are left out for kernels
// without.
func TestPrebuiltFinale(t *testing.T) {
	s := withFinale(1)
	if users := s.For(true).Finale.Users; len(users) != 1 || users[0].ID != "user" {
		t.Errorf("users %+v", users)
	}
	if len(s.Finale.Users) != 2 {
		t.Error("the scenario itself has changed")
	}
}
