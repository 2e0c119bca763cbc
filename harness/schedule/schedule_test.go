// SPDX-License-Identifier: Apache-2.0

package schedule_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	_ "plugstorm/guests"
	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
	"plugstorm/workloads"
)

func lane(name string, kinds ...*op.Kind) schedule.Lane {
	l := schedule.Lane{Name: name}
	for i, kind := range kinds {
		l.Mix = append(l.Mix, schedule.Weight{Kind: kind, Weight: 1 + i})
	}
	return l
}

// scenario uses every kind of op, on six lanes.
func scenario() *schedule.Scenario {
	dimmA := lane("dimm-a", op.DIMMAdd, op.DIMMRemove)
	dimmA.DIMMs, dimmA.MaxUnits = 2, 2
	dimmB := lane("dimm-b", op.DIMMAdd, op.DIMMRemove, op.BlockOffline, op.BlockOnline)
	dimmB.DIMMs, dimmB.MaxUnits, dimmB.Gap = 3, 4, 100*time.Millisecond
	cpu := lane("cpu", op.CPUOffline, op.CPUOnline)
	cpu.CPUs, cpu.Gap = 1, time.Second
	vcpu := lane("vcpu", op.VCPUAdd, op.VCPURemove)
	vcpu.VCPUs = 2
	work := lane("workload", op.WorkloadStartOp, op.WorkloadStopOp)
	work.Workloads, work.Threads = []*agent.Workload{workloads.Reclaim, workloads.PercpuStorm}, 2
	return &schedule.Scenario{
		Name:      "test",
		Lanes:     []schedule.Lane{dimmA, dimmB, cpu, vcpu, work, lane("pause", op.VMPause)},
		Workloads: []op.WorkloadStart{{ID: "all", Name: workloads.SlabStorm.Name}, {ID: "readers", Name: workloads.MemoryReaders.Name}},
	}
}

var all = vm.Budget{VCPURemove: true, VCPUAdds: -1}

// steps takes up to n steps of each lane.
func steps(lanes []*schedule.Sequence, n int) map[string][]schedule.Step {
	taken := map[string][]schedule.Step{}
	for _, q := range lanes {
		taken[q.Lane()] = nil
		for range n {
			step, ok := q.Next()
			if !ok {
				break
			}
			q.Begin()
			taken[q.Lane()] = append(taken[q.Lane()], step)
		}
	}
	return taken
}

// text is a step as it is saved. Ops hold more than what is saved, so steps
// compare as texts.
func text(t interface{ Fatal(...any) }, v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestSeedDecides(t *testing.T) {
	for _, m := range vm.Machines.All() {
		t.Run(m.Name, func(t *testing.T) {
			a := steps(schedule.Sequences(scenario(), m, all, 7), 100)
			if b := steps(schedule.Sequences(scenario(), m, all, 7), 100); text(t, a) != text(t, b) {
				t.Error("the same seed gave different steps")
			}
			other := steps(schedule.Sequences(scenario(), m, all, 8), 100)
			for name := range a {
				if len(a[name]) == 0 {
					t.Errorf("lane %s does nothing", name)
				}
				if name != "cpu" && text(t, a[name]) == text(t, other[name]) { // one CPU goes off and on, whatever the seed
					t.Errorf("lane %s doesn't care about the seed", name)
				}
			}
		})
	}
}

// TestLanesAreIndependent: what one lane draws depends neither on the others'
// pace nor on what they are.
func TestLanesAreIndependent(t *testing.T) {
	m := vm.Machines.All()[0]
	whole := steps(schedule.Sequences(scenario(), m, all, 7), 50)

	changed := scenario()
	changed.Lanes[0].Mix[0].Weight = 9
	changed.Lanes[0].Gap = time.Second
	got := steps(schedule.Sequences(changed, m, all, 7), 50)
	if text(t, got["dimm-a"]) == text(t, whole["dimm-a"]) {
		t.Error("the changed lane is as before")
	}
	for _, name := range []string{"dimm-b", "cpu", "vcpu", "workload", "pause"} {
		if text(t, got[name]) != text(t, whole[name]) {
			t.Errorf("a change to lane dimm-a changed lane %s", name)
		}
	}

	inTurn := map[string][]schedule.Step{}
	lanes := schedule.Sequences(scenario(), m, all, 7)
	for range 50 {
		for _, q := range slices.Backward(lanes) {
			if step, ok := q.Next(); ok {
				q.Begin()
				inTurn[q.Lane()] = append(inTurn[q.Lane()], step)
			}
		}
	}
	if diff := cmp.Diff(text(t, whole), text(t, inTurn)); diff != "" {
		t.Errorf("the order of asking matters:\n%s", diff)
	}
}

// TestTwins: lanes that are alike but for their names don't do the same.
func TestTwins(t *testing.T) {
	taken := steps(schedule.Sequences(&schedule.Scenario{Lanes: []schedule.Lane{lane("a", op.VMPause), lane("b", op.VMPause)}}, vm.Machines.All()[0], all, 7), 20)
	var ops [2][]op.Spec
	for i := range 20 {
		ops[0], ops[1] = append(ops[0], taken["a"][i].Op), append(ops[1], taken["b"][i].Op)
	}
	if text(t, ops[0]) == text(t, ops[1]) {
		t.Errorf("both do %s", text(t, ops[0]))
	}
}

// devices returns what a step touches.
func devices(t *testing.T, s schedule.Step) []string {
	var args struct {
		Args struct {
			ID   string
			DIMM string
			CPU  *int
		}
	}
	if err := json.Unmarshal([]byte(text(t, s.Op)), &args); err != nil {
		t.Fatal(err)
	}
	a := args.Args
	switch {
	case a.CPU != nil:
		return []string{fmt.Sprint("cpu", *a.CPU)}
	case a.DIMM != "":
		return []string{a.DIMM}
	case a.ID != "":
		return []string{a.ID}
	}
	return nil
}

// TestDisjoint: no two lanes touch the same device, on any machine, whatever
// their shares are, and nobody touches CPU 0 or what the machine doesn't have.
func TestDisjoint(t *testing.T) {
	for _, m := range vm.Machines.All() {
		t.Run(m.Name, func(t *testing.T) {
			s := scenario()
			second := s.Lanes[3]
			second.Name = "vcpu-too-many"
			s.Lanes = append(s.Lanes, second)
			s.Lanes[2].CPUs = m.VCPU.Boot + 5 // more than there are
			owner := map[string]string{}
			for name, list := range steps(schedule.Sequences(s, m, all, 3), 300) {
				for _, step := range list {
					for _, device := range devices(t, step) {
						if other := owner[device]; other != "" && other != name {
							t.Fatalf("%s and %s both use %s", name, other, device)
						}
						owner[device] = name
					}
				}
			}
			for i := range m.VCPU.Boot + m.VCPU.Plug + 1 {
				want := ""
				switch {
				case i == 0 || i >= m.VCPU.Boot+m.VCPU.Plug:
				case i < m.VCPU.Boot:
					want = "cpu"
				default:
					want = "vcpu"
				}
				if got := owner[fmt.Sprint("cpu", i)]; got != want {
					t.Errorf("CPU %d is %q's, want %q", i, got, want)
				}
			}
			for i := range 6 {
				want := ""
				switch {
				case i < 2:
					want = "dimm-a"
				case i < 5:
					want = "dimm-b"
				}
				if got := owner[fmt.Sprint("dimm", i)]; got != want {
					t.Errorf("dimm%d is %q's, want %q", i, got, want)
				}
			}
		})
	}
}

func TestStepFields(t *testing.T) {
	m := vm.Machines.All()[0]
	var total time.Duration
	for name, list := range steps(schedule.Sequences(scenario(), m, all, 7), 1000) {
		for i, step := range list {
			if step.Lane != name || step.Index != i {
				t.Fatalf("step %d of lane %s says it is number %d of %s", i, name, step.Index, step.Lane)
			}
			switch {
			case name == "cpu":
				total += step.Gap
			case name != "dimm-b" && step.Gap != 0:
				t.Fatalf("lane %s has no gap, step %d one of %s", name, i, step.Gap)
			}
		}
	}
	if mean := total / 1000; mean < 800*time.Millisecond || mean > 1200*time.Millisecond {
		t.Errorf("the mean gap of lane cpu is %s, want about 1s", mean)
	}
}

func TestWeights(t *testing.T) {
	l := lane("mix", op.VMPause, op.WorkloadStartOp)
	l.Mix[0].Weight, l.Mix[1].Weight = 3, 1
	l.Workloads, l.AtOnce = []*agent.Workload{workloads.Reclaim}, 4000
	q := schedule.Sequences(&schedule.Scenario{Lanes: []schedule.Lane{l}}, vm.Machines.All()[0], all, 1)
	count := map[*op.Kind]int{}
	for _, step := range steps(q, 4000)["mix"] {
		count[step.Op.Kind]++
	}
	if pauses := count[op.VMPause]; pauses < 2850 || pauses > 3150 || count[op.WorkloadStartOp] != 4000-pauses {
		t.Errorf("weights 3 and 1 gave %v", count)
	}
}

// TestNothingLeft: a lane ends when the machine leaves it nothing to do.
func TestNothingLeft(t *testing.T) {
	m := vm.Machines.All()[0]
	vcpu := lane("vcpu", op.VCPUAdd, op.VCPURemove)
	vcpu.VCPUs = 2
	for _, l := range []schedule.Lane{
		lane("none"), lane("no-dimm", op.DIMMAdd, op.DIMMRemove), lane("zero-weight", op.VMPause), vcpu,
	} {
		if l.Name == "zero-weight" {
			l.Mix[0].Weight = 0
		}
		q := schedule.Sequences(&schedule.Scenario{Lanes: []schedule.Lane{l}}, m, vm.Budget{}, 1)
		taken := steps(q, 100)[l.Name]
		for _, step := range taken {
			if step.Op.Kind == op.VCPURemove {
				t.Errorf("lane %s removes a vCPU where that breaks QEMU", l.Name)
			}
		}
		if len(taken) == 100 {
			t.Errorf("lane %s has no end", l.Name)
		}
		if step, ok := q[0].Next(); ok {
			t.Errorf("lane %s goes on after its end: %v", l.Name, step)
		}
	}
}

// TestReplay: what comes out of a record is the record.
func TestReplay(t *testing.T) {
	for _, m := range vm.Machines.All() {
		t.Run(m.Name, func(t *testing.T) {
			drawn := steps(schedule.Sequences(scenario(), m, all, 7), 40)
			var recorded []schedule.Step
			for i := range 40 { // lanes interleave in a record
				for _, name := range []string{"pause", "vcpu", "dimm-b", "dimm-a", "cpu"} {
					recorded = append(recorded, drawn[name][i])
				}
			}
			delete(drawn, "workload") // as if it had done nothing
			drawn["workload"] = nil
			var saved []schedule.Step
			if err := json.Unmarshal([]byte(text(t, recorded)), &saved); err != nil {
				t.Fatal(err)
			}
			lanes := schedule.Sequences(scenario(), m, all, 8)
			if err := schedule.Replay(lanes, saved); err != nil {
				t.Fatal(err)
			}
			got := steps(lanes, 1000)
			if diff := cmp.Diff(text(t, drawn), text(t, got)); diff != "" {
				t.Errorf("-recorded +replayed:\n%s", diff)
			}
		})
	}
}

func TestReplayOfAnotherSuite(t *testing.T) {
	lanes := schedule.Sequences(scenario(), vm.Machines.All()[0], all, 1)
	err := schedule.Replay(lanes, []schedule.Step{{Lane: "dimm-c"}})
	if blame.Of(err) != blame.User || !strings.Contains(fmt.Sprint(err), `"dimm-c"`) {
		t.Errorf("error is %v, of %q", err, blame.Of(err))
	}
}

// TestReplayNothing: an empty record is not a reason to draw.
func TestReplayNothing(t *testing.T) {
	lanes := schedule.Sequences(scenario(), vm.Machines.All()[0], all, 1)
	if err := schedule.Replay(lanes, nil); err != nil {
		t.Fatal(err)
	}
	for name, list := range steps(lanes, 5) {
		if len(list) != 0 {
			t.Errorf("lane %s draws", name)
		}
	}
}

// TestSetup: after any number of steps, a fresh guest's setup is what these
// steps have left, and no step that wasn't begun.
func TestSetup(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom(vm.Machines.All()).Draw(t, "machine")
		seed := rapid.Int64().Draw(t, "seed")
		n := rapid.IntRange(0, 60).Draw(t, "steps")
		replayed := rapid.Bool().Draw(t, "replayed")
		lanes := schedule.Sequences(scenario(), m, all, seed)
		if replayed {
			var recorded []schedule.Step
			for _, list := range steps(schedule.Sequences(scenario(), m, all, seed), n) {
				recorded = append(recorded, list...)
			}
			if err := schedule.Replay(lanes, recorded); err != nil {
				t.Fatal(err)
			}
		}
		for _, q := range lanes {
			for i := 0; ; i++ {
				before := text(t, q.Setup())
				step, ok := q.Next()
				again, _ := q.Next()
				if after := text(t, q.Setup()); after != before {
					t.Fatalf("looking at step %d changed the setup\nfrom %s\nto   %s", i, before, after)
				}
				if ok && text(t, step) != text(t, again) {
					t.Fatalf("step %d is %s, then %s", i, text(t, step), text(t, again))
				}
				if !ok || i == n {
					break
				}
				q.Begin()
			}
			checkSetup(t, m, q)
		}
	})
}

// checkSetup does a lane's setup to a fresh state; nothing may be left to do.
func checkSetup(t *rapid.T, m *vm.Machine, q *schedule.Sequence) {
	fresh := op.NewState(m, all, freshShare(m, q.Lane()))
	for _, spec := range q.Setup() {
		spec.Op.Apply(fresh)
	}
	if want, got := text(t, q.Setup()), text(t, fresh.Setup()); want != got {
		t.Fatalf("setup of lane %s is %s, done to a fresh guest it is %s", q.Lane(), want, got)
	}
}

// freshShare is what scenario gives a lane, counted by hand.
func freshShare(m *vm.Machine, lane string) op.Share {
	switch lane {
	case "dimm-a":
		return op.Share{DIMMs: 2}
	case "dimm-b":
		return op.Share{FirstDIMM: 2, DIMMs: 3}
	case "cpu":
		return op.Share{CPUs: []int{1}}
	case "vcpu":
		return op.Share{VCPUs: []int{m.VCPU.Boot, m.VCPU.Boot + 1}}
	}
	return op.Share{}
}

// TestFor: a prebuilt kernel goes without what needs our modules, and the
// scenario itself stays whole.
func TestFor(t *testing.T) {
	s := scenario()
	if s.For(false) != s {
		t.Error("a kernel with our modules doesn't get the scenario itself")
	}
	whole := names(s)
	fit := s.For(true)
	if got, want := names(fit), []string{"memory-readers", "reclaim"}; !slices.Equal(got, want) {
		t.Errorf("a prebuilt kernel runs %v, want %v", got, want)
	}
	if got := names(s); !slices.Equal(got, whole) {
		t.Errorf("the scenario itself has become %v", got)
	}
	if len(fit.Lanes) != len(s.Lanes) || fit.Name != s.Name {
		t.Error("the scenario has changed in other ways")
	}
	for name, list := range steps(schedule.Sequences(fit, vm.Machines.All()[0], all, 1), 100) {
		if name != "workload" {
			continue
		}
		for _, step := range list {
			if strings.Contains(text(t, step), workloads.PercpuStorm.Name) {
				t.Fatalf("it draws %s", text(t, step))
			}
		}
	}
}

// names lists a scenario's workloads, those of its lanes included.
func names(s *schedule.Scenario) []string {
	var list []string
	for _, w := range s.Workloads {
		list = append(list, w.Name)
	}
	for _, l := range s.Lanes {
		for _, w := range l.Workloads {
			list = append(list, w.Name)
		}
	}
	return list
}
