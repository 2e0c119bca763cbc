// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/agent"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/run"
	"plugstorm/harness/schedule"
	"plugstorm/harness/splat"
	"plugstorm/harness/vm"
	"plugstorm/harness/vm/vmtest"
)

func TestCalmRun(t *testing.T) {
	for _, m := range []string{"x86_64", "pseries"} {
		t.Run(m, func(t *testing.T) {
			machine, err := vm.Machines.Get(m)
			if err != nil {
				t.Fatal(err)
			}
			r := play{machine: machine, seed: 3}.perform(t)
			if r.err != nil {
				t.Fatal(r.err)
			}
			r.expect(t, lines(runStart, up(1), timeUp(1), runEnd)...)
			if r.took < time.Minute || r.took > 65*time.Second {
				t.Errorf("the run took %s", r.took)
			}
			if r.Case.Machine != m || r.Case.Seed != 3 || r.Case.Version != history.Version {
				t.Errorf("the case is %+v", r.Case)
			}
			checkOutcomes(t, r)
			checkFiles(t, r)
		})
	}
}

// checkOutcomes: every step of a healthy guest is done, lane by lane.
func checkOutcomes(t *testing.T, r *record) {
	t.Helper()
	next := map[string]int{}
	for _, e := range r.steps(history.StepBegin, 1) {
		if e.Setup != (e.Step.Lane == "workloads") {
			t.Errorf("step %d of lane %s is setup: %v", e.Seq, e.Step.Lane, e.Setup)
		}
		if e.Step.Index != next[e.Step.Lane] {
			t.Errorf("lane %s goes on with step %d after %d", e.Step.Lane, e.Step.Index, next[e.Step.Lane]-1)
		}
		next[e.Step.Lane]++
	}
	if next["dimm"] < 20 || next["cpu"] < 10 || next["workloads"] != 1 {
		t.Errorf("steps by lane: %v", next)
	}
	for _, e := range r.steps(history.StepEnd, 1) {
		if e.Outcome != op.Done && e.Outcome != "" || e.Outcome == op.Done && e.Text != "" {
			t.Errorf("step %d is %q: %s", e.Seq, e.Outcome, e.Text)
		}
	}
}

// checkFiles: a run directory can be replayed.
func checkFiles(t *testing.T, r *record) {
	t.Helper()
	saved, err := history.Schedule(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asJSON(t, r.Steps()), asJSON(t, saved)); diff != "" {
		t.Errorf("the schedule isn't that of the history:\n%s", diff)
	}
	var c history.Case
	data, err := os.ReadFile(filepath.Join(r.dir, history.CaseFile))
	if err != nil || json.Unmarshal(data, &c) != nil {
		t.Fatalf("%s: %v", history.CaseFile, err)
	}
	if asJSON(t, c) != asJSON(t, r.Case) {
		t.Errorf("%s says %+v", history.CaseFile, c)
	}
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() && !slices.Contains([]string{history.File, history.CaseFile, history.ScheduleFile}, e.Name()) { // each guest has its directory
			t.Errorf("the run left %s", e.Name())
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// byLane sorts steps by their lane, each lane's in order.
func byLane(steps []schedule.Step) []schedule.Step {
	sorted := slices.Clone(steps)
	slices.SortStableFunc(sorted, func(a, b schedule.Step) int { return strings.Compare(a.Lane, b.Lane) })
	return sorted
}

func TestReplay(t *testing.T) {
	first := play{seed: 3}.perform(t)
	again := play{seed: 3}.perform(t)
	if diff := cmp.Diff(asJSON(t, byLane(first.Steps())), asJSON(t, byLane(again.Steps()))); diff != "" {
		t.Errorf("the same seed gave other steps:\n%s", diff)
	}
	replayed := play{seed: 9, replay: first.Steps()}.perform(t)
	if diff := cmp.Diff(asJSON(t, byLane(first.Steps())), asJSON(t, byLane(replayed.Steps()))); diff != "" {
		t.Errorf("the replay did other steps:\n%s", diff)
	}
	foreign := play{replay: []schedule.Step{{Lane: "elsewhere"}}}.perform(t)
	if foreign.err == nil || foreign.specs != nil || foreign.History != nil {
		t.Errorf("a foreign schedule ends with %v, after %d guests", foreign.err, len(foreign.specs))
	}
}

// TestFreshGuestGoesOn: after a report that blinds lockdep the guest is asked
// for what it still knows and ended, and a fresh one goes on where it was.
func TestFreshGuestGoesOn(t *testing.T) {
	report := console(t, "lockdep")
	sysrq := []string{}
	r := play{
		seed: 3,
		character: func(n int) vmtest.Character {
			return vmtest.Character{Methods: map[string]vmtest.Handler{"write-file": func(_ *vmtest.Guest, raw json.RawMessage) (any, error) {
				var p struct{ Path, Data string }
				if err := json.Unmarshal(raw, &p); err != nil {
					return nil, err
				}
				if p.Path == "/proc/sysrq-trigger" {
					sysrq = append(sysrq, p.Data)
				}
				return nil, nil
			}}}
		},
		scene: func(n int, g *vmtest.Guest) {
			if n == 1 {
				time.AfterFunc(20*time.Second, func() { g.Print(report) })
			}
		},
	}.perform(t)
	const title = "possible deadlock in kmem_cache_destroy"
	r.expect(t, lines(runStart, up(1), "1 complaint  "+title, "1 blind  "+title, "1 workload", "1 guest-end  retired: blind after: "+title,
		up(2), timeUp(2), runEnd)...)
	if want := []string{"d", "w"}; !slices.Equal(sysrq, want) {
		t.Errorf("the guest was asked for %v, want %v", sysrq, want)
	}
	checkContinuity(t, r)
}

// checkContinuity: the second guest's setup is what the first one's steps have
// left, and each lane goes on with its next step.
func checkContinuity(t *testing.T, r *record) {
	t.Helper()
	lanes := schedule.Sequences(calm(), r.specs[0].Machine, vm.Budget{VCPURemove: true, VCPUAdds: -1}, r.Case.Seed)
	for _, lane := range lanes {
		next := 0
		for _, e := range r.steps(history.StepBegin, 1) {
			if e.Step.Lane == lane.Lane() {
				if _, ok := lane.Next(); !ok {
					t.Fatal("the lane has ended")
				}
				lane.Begin()
				next++
			}
		}
		want := lane.Setup()
		for _, e := range r.steps(history.StepBegin, 2) {
			switch {
			case e.Step.Lane != lane.Lane():
			case len(want) > 0:
				if !e.Setup || asJSON(t, e.Step.Op) != asJSON(t, want[0]) {
					t.Errorf("lane %s sets up %s (setup %v), want %s", lane.Lane(), asJSON(t, e.Step.Op), e.Setup, asJSON(t, want[0]))
				}
				want = want[1:]
			default:
				if e.Setup || e.Step.Index != next {
					t.Errorf("lane %s goes on with step %d (setup %v), want %d", lane.Lane(), e.Step.Index, e.Setup, next)
				}
				next++
			}
		}
		if len(want) > 0 {
			t.Errorf("lane %s: %d steps of setup are missing", lane.Lane(), len(want))
		}
	}
	if len(r.steps(history.StepBegin, 2)) < 10 {
		t.Error("the second guest does next to nothing")
	}
}

// TestComplaints: which ones end a guest.
func TestComplaints(t *testing.T) {
	for _, tt := range []struct {
		name string
		want []string
	}{
		{"warning", lines(runStart, up(1), "1 complaint  WARNING in lockdep_assert_cpus_held", timeUp(1), runEnd)},
		{"oops", lines(runStart, up(1), "1 complaint  BUG: unable to handle kernel paging request in PageHuge", "1 blind",
			"1 guest-end  retired: fatal: BUG: unable to handle", up(2), timeUp(2), runEnd)},
		{"hung_task", lines(runStart, up(1), "1 complaint  INFO: task hung in ", "1 guest-end  retired: stuck: INFO: task hung in ", up(2), timeUp(2), runEnd)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			report := console(t, tt.name)
			play{scene: func(n int, g *vmtest.Guest) {
				if n == 1 {
					time.AfterFunc(10*time.Second, func() { g.Print(report) })
				}
			}}.perform(t).expect(t, tt.want...)
		})
	}
}

// TestUntil: a run ends with the complaint it was made for, and not before. That a
// hang is one is known when its guest has ended.
func TestUntil(t *testing.T) {
	r := play{
		until: func(f splat.Finding) bool { return f.Type == splat.TypeHang },
		scene: func(n int, g *vmtest.Guest) {
			time.AfterFunc(10*time.Second, func() { g.Print(console(t, "warning")) })
			time.AfterFunc(30*time.Second, func() { g.Print(console(t, "hung_task")) })
		},
	}.perform(t)
	r.expect(t, lines(runStart, up(1), "1 complaint  WARNING in lockdep_assert_cpus_held", "1 complaint  INFO: task hung in ",
		"1 guest-end  retired: stuck: INFO: task hung in ", runEnd)...)
	r = play{
		until: func(f splat.Finding) bool { return f.Type == splat.TypeWarning },
		scene: func(_ int, g *vmtest.Guest) {
			time.AfterFunc(10*time.Second, func() { g.Print(console(t, "warning")) })
		},
	}.perform(t)
	r.expect(t, lines(runStart, up(1), "1 complaint  WARNING in lockdep_assert_cpus_held",
		"1 guest-end  retired: found what ends the run: WARNING in lockdep_assert_cpus_held", runEnd)...)
}

// TestUntilExplained: a hang ends the run only if what its tasks wait for, which
// the kernel shows later, doesn't tell that it is a known one.
func TestUntilExplained(t *testing.T) {
	log, err := os.ReadFile("../splat/testdata/hung_task/x86-abba.txt")
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(log), "======== expected")
	for _, known := range []bool{true, false} {
		r := play{
			until: func(f splat.Finding) bool { return f.Waits == nil || len(f.Waits.Cycle) == 0 || !known },
			scene: func(_ int, g *vmtest.Guest) {
				time.AfterFunc(30*time.Second, func() {
					if err := os.WriteFile(filepath.Join(g.VM.Spec.Dir, vm.ConsoleLog), []byte(text), 0o600); err != nil { // as QEMU does
						t.Error(err)
					}
					g.Print(text)
				})
			},
		}.perform(t)
		if guests := len(r.guests); known != (guests > 1) {
			t.Errorf("known: %v, and %d guests:\n%s", known, guests, strings.Join(r.outline(), "\n"))
		}
	}
}

// TestLastWords: a complaint that comes while the guest is being collected
// from is recorded too.
func TestLastWords(t *testing.T) {
	report := console(t, "warning")
	r := play{
		duration: 10 * time.Second,
		character: func(int) vmtest.Character {
			return vmtest.Character{Methods: map[string]vmtest.Handler{"stop-workload": func(g *vmtest.Guest, _ json.RawMessage) (any, error) {
				g.Print(report)
				return struct{}{}, nil
			}}}
		},
	}.perform(t)
	if complaints := r.steps(history.Complaint, 1); len(complaints) != 1 {
		t.Errorf("there are %d complaints, want one:\n%s", len(complaints), strings.Join(r.outline(), "\n"))
	}
	if log := r.outline(); !strings.HasPrefix(log[len(log)-2], "1 guest-end  the run's time is up") {
		t.Errorf("the guest's end isn't the last thing:\n%s", strings.Join(log, "\n"))
	}
}

// TestMarks: the history says when which console byte came, and not too often.
func TestMarks(t *testing.T) {
	r := play{
		duration: 5 * time.Second,
		scene: func(_ int, g *vmtest.Guest) {
			for i := range 100 {
				time.AfterFunc(time.Second+time.Duration(i)*time.Millisecond, func() { g.Print("0123456789\n") })
			}
		},
	}.perform(t)
	marks := 0
	for _, e := range r.steps(history.Console, 1) {
		since := e.At - time.Second
		if since < 0 || since >= 100*time.Millisecond {
			continue
		}
		marks++
		if want := 11 * int64(since/time.Millisecond); since%(20*time.Millisecond) != 0 || e.Offset != want {
			t.Errorf("%s after the first byte came byte %d, want %d", since, e.Offset, want)
		}
	}
	if marks != 5 {
		t.Errorf("100 ms of output have %d marks, want 5", marks)
	}
}

func TestWorkloadEnds(t *testing.T) {
	r := play{
		duration: 5 * time.Second,
		scene: func(_ int, g *vmtest.Guest) {
			time.AfterFunc(2*time.Second, func() {
				g.Event(agent.EventWorkloadEnd, agent.WorkloadStats{ID: "all", Error: "out of memory"})
			})
		},
	}.perform(t)
	r.expect(t, lines(runStart, up(1), `1 workload  {"id":"all","name":"","rounds":0,"refused":0,"error":"out of memory"}`, timeUp(1), runEnd)...)
	if seeds := r.steps(history.StepBegin, 1)[0].Step; !strings.Contains(asJSON(t, seeds), `"seed":0`) {
		t.Errorf("the workload's seed isn't the run's: %s", asJSON(t, seeds))
	}
}

func TestProgress(t *testing.T) {
	report := console(t, "warning")
	var phases []string
	var last run.Progress
	seen := make(chan run.Progress, 1000)
	play{
		watch: func(p run.Progress) { seen <- p },
		scene: func(_ int, g *vmtest.Guest) { time.AfterFunc(10*time.Second, func() { g.Print(report) }) },
	}.perform(t)
	close(seen)
	for p := range seen {
		if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
			phases = append(phases, p.Phase)
		}
		if p.Steps < last.Steps || p.Elapsed < last.Elapsed || p.Total != time.Minute || p.Guest != 1 {
			t.Errorf("progress %+v follows %+v", p, last)
		}
		last = p
	}
	if want := []string{"booting", "storming", "collecting"}; !slices.Equal(phases, want) {
		t.Errorf("phases are %v, want %v", phases, want)
	}
	if last.Steps < 20 || last.Findings != 1 || last.Elapsed < time.Minute {
		t.Errorf("at the end the progress is %+v", last)
	}
}

// TestSlowGuest: what a guest gets is stretched by its slowness, the storm not.
func TestSlowGuest(t *testing.T) {
	r := play{
		scenario:  only(schedule.Lane{DIMMs: 1}, op.DIMMAdd),
		duration:  10 * time.Minute,
		character: func(n int) vmtest.Character { return vmtest.Character{Boot: 18 * time.Second, Plug: ignore} }, // 3 times the reference
	}.perform(t)
	hung := r.steps(history.StepEnd, 1)[0]
	begin := r.steps(history.StepBegin, 1)[0]
	if took := hung.At - begin.At; hung.Outcome != op.Hung || took != 3*op.DIMMAdd.Deadline {
		t.Errorf("after %s the step is %q", took, hung.Outcome)
	}
	if r.took < 10*time.Minute || r.took > 11*time.Minute {
		t.Errorf("the run took %s", r.took)
	}
}

func ignore(*vmtest.Guest, string) {}

// TestSpec: what guests are started with.
func TestSpec(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		online bool
	}{
		{nil, true}, // as the machine says
		{[]string{"x=y", "memhp_default_state=offline"}, false},
	} {
		s := calm()
		s.KernelArgs = tt.args
		r := play{scenario: s, duration: time.Second}.perform(t)
		got := r.specs[0]
		if got.AutoOnline != tt.online || !slices.Equal(got.KernelArgs, tt.args) || got.Dir != filepath.Join(r.dir, "guest-1") {
			t.Errorf("with %v the guest is %+v", tt.args, got)
		}
	}
}

// TestVariants: what each guest boots with is drawn, recorded, and the same in
// a replay.
func TestVariants(t *testing.T) {
	s := calm()
	s.Variants = [][]string{{"memhp_default_state=offline"}, {"memhp_default_state=online_kernel"}}
	for seed := range int64(4) {
		r := play{scenario: s, seed: seed}.perform(t)
		want := s.GuestArgs(seed, 1)
		if got := r.specs[0]; !slices.Equal(got.KernelArgs, want) || got.AutoOnline != (want[0] != "memhp_default_state=offline") {
			t.Errorf("seed %d: %q, AutoOnline %v; want %q", seed, got.KernelArgs, got.AutoOnline, want)
		}
		i := slices.IndexFunc(r.Events, func(e history.Event) bool { return e.Type == history.GuestStart })
		if i < 0 || !slices.Equal(r.Events[i].KernelArgs, want) {
			t.Errorf("seed %d: the history doesn't say %q", seed, want)
		}
	}
}
