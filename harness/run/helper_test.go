// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/guests"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/run"
	"plugstorm/harness/schedule"
	"plugstorm/harness/splat"
	"plugstorm/harness/vm"
	"plugstorm/harness/vm/vmtest"
	"plugstorm/workloads"
)

// A play is a run on fake guests, in a bubble where time costs nothing.
type play struct {
	machine  *vm.Machine // default x86_64
	accel    vm.Accel    // default KVM: no defects
	scenario *schedule.Scenario
	seed     int64
	duration time.Duration // default a minute
	replay   []schedule.Step
	dir      string // default a new one
	rules    *history.RuleText
	watch    func(run.Progress)
	until    func(splat.Finding) bool
	saved    run.Snapshots

	character func(n int) vmtest.Character         // of guest n, from 1; default healthy
	scene     func(n int, g *vmtest.Guest)         // what happens to it; called when it was started
	refuse    func(n int) error                    // why it can't be started; default nil
	during    func(cancel context.CancelCauseFunc) // called when the run begins
}

// A record is what came of a play.
type record struct {
	*history.History
	dir    string
	err    error
	guests []*vmtest.Guest
	specs  []vm.Spec
	took   time.Duration
}

func (p play) perform(t *testing.T) *record {
	t.Helper()
	r := &record{dir: p.dir}
	if r.dir == "" {
		r.dir = filepath.Join(t.TempDir(), "run")
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		if p.during != nil {
			p.during(cancel)
		}
		began := time.Now()
		r.err = run.Run(ctx, p.config(r))
		r.took = time.Since(began)
		for i, g := range r.guests {
			select {
			case <-g.VM.Ended():
			default:
				t.Errorf("guest %d still runs", i+1)
				g.VM.Close()
			}
		}
	})
	var err error
	if r.History, err = history.Read(r.dir); err == nil {
		r.check(t)
	} else if r.err == nil {
		t.Errorf("no error and no history: %v", err)
	}
	return r
}

func (p play) config(r *record) run.Config {
	c := run.Config{
		Machine: p.machine, Accel: p.accel, Version: vm.Version{Major: 10}, Scenario: p.scenario,
		Backend: &vm.Backend{Start: p.start(r)}, Replay: p.replay, Dir: r.dir, Watch: p.watch, Until: p.until, Snapshots: p.saved,
		Case: history.Case{Suite: "test", Seed: p.seed, Duration: p.duration, Rules: p.rules},
	}
	if p.saved != nil { // a guest's identity has to do with its files
		c.Emulator, c.Case.Kernel.Image = "/proc/self/exe", "/proc/self/exe"
	}
	if c.Machine == nil {
		c.Machine = guests.X8664
	}
	if c.Accel == "" {
		c.Accel = vm.KVM
	}
	if c.Scenario == nil {
		c.Scenario = calm()
	}
	if c.Case.Duration == 0 {
		c.Case.Duration = time.Minute
	}
	c.Case.Machine = c.Machine.Name
	return c
}

func (p play) start(r *record) func(context.Context, vm.Spec) (*vm.VM, error) {
	return func(ctx context.Context, s vm.Spec) (*vm.VM, error) {
		r.specs = append(r.specs, s)
		n := len(r.specs)
		if p.refuse != nil {
			if err := p.refuse(n); err != nil {
				return nil, err
			}
		}
		var character vmtest.Character
		if p.character != nil {
			character = p.character(n)
		}
		g, err := vmtest.Start(ctx, s, character)
		if err != nil {
			return nil, err
		}
		r.guests = append(r.guests, g)
		if p.scene != nil {
			p.scene(n, g)
		}
		return g.VM, nil
	}
}

// calm is a scenario with two lanes and a workload.
func calm() *schedule.Scenario {
	return &schedule.Scenario{
		Name: "test",
		Lanes: []schedule.Lane{
			{
				Name: "dimm", DIMMs: 3, MaxUnits: 2, Gap: time.Second,
				Mix: []schedule.Weight{{Kind: op.DIMMAdd, Weight: 3}, {Kind: op.DIMMRemove, Weight: 1}, {Kind: op.BlockOffline, Weight: 1}},
			},
			{
				Name: "cpu", CPUs: 1, Gap: 2 * time.Second,
				Mix: []schedule.Weight{{Kind: op.CPUOffline, Weight: 1}, {Kind: op.CPUOnline, Weight: 1}},
			},
		},
		Workloads: []op.WorkloadStart{{ID: "all", Name: workloads.SlabStorm.Name}},
	}
}

// only is a scenario with one lane that does one thing after another.
func only(l schedule.Lane, kinds ...*op.Kind) *schedule.Scenario {
	l.Name = "only"
	for _, kind := range kinds {
		l.Mix = append(l.Mix, schedule.Weight{Kind: kind, Weight: 1})
	}
	return &schedule.Scenario{Name: "test", Lanes: []schedule.Lane{l}}
}

// console reads what a kernel once said.
func console(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "console", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// check insists on what holds for every history.
func (r *record) check(t *testing.T) {
	t.Helper()
	type life struct{ started, up, ended bool }
	lives := map[int]*life{}
	begun := map[int]int{} // guest by step
	var last time.Duration
	for i, e := range r.Events {
		if e.Type != history.Console {
			if e.At < last {
				t.Errorf("event %d (%s) at %s follows one at %s", i, e.Type, e.At, last)
			}
			last = e.At
		}
		g := lives[e.Guest]
		if g == nil {
			g = &life{}
			lives[e.Guest] = g
		}
		switch e.Type {
		case history.GuestStart:
			g.started = true
		case history.AgentUp:
			g.up = true
		case history.GuestEnd:
			g.ended = true
		case history.StepBegin:
			if _, twice := begun[e.Seq]; twice || !g.up || g.ended {
				t.Errorf("event %d: step %d begins twice, before its guest is up or after its end", i, e.Seq)
			}
			begun[e.Seq] = e.Guest
		case history.StepEnd:
			if begun[e.Seq] != e.Guest {
				t.Errorf("event %d: step %d ends in guest %d, and began in %d", i, e.Seq, e.Guest, begun[e.Seq])
			}
			begun[e.Seq] = -1
		case history.RunEnd:
			if i != len(r.Events)-1 {
				t.Errorf("event %d ends the run, %d follow", i, len(r.Events)-1-i)
			}
		}
	}
	if errors.Is(r.err, unix.ENOSPC) {
		return // its end isn't recorded
	}
	for seq, guest := range begun {
		if guest != -1 {
			t.Errorf("step %d of guest %d has no end", seq, guest)
		}
	}
	for number, g := range lives {
		if number > 0 && (!g.started || !g.ended) {
			t.Errorf("guest %d: %+v", number, *g)
		}
	}
}

// outline is the history without steps, console marks and what the host did.
func (r *record) outline() []string {
	var lines []string
	for _, e := range r.Events {
		switch e.Type {
		case history.Console, history.Host, history.StepBegin, history.StepEnd:
			continue
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%d %s %s %s", e.Guest, e.Type, e.Party, e.Text)))
	}
	return lines
}

// expect compares the outline, of which each line begins as wanted.
func (r *record) expect(t *testing.T, want ...string) {
	t.Helper()
	if r.History == nil {
		t.Fatalf("there is no history: %v", r.err)
	}
	got := r.outline()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("line %d differs\ngot:\n%s\nwant:\n%s", i, strings.Join(got, "\n"), strings.Join(want, "\n"))
			return
		}
	}
}

// up and over are what most guests of a play begin and end with.
const (
	runStart = "0 run-start"
	runEnd   = "0 run-end"
)

func up(n int) []string {
	return []string{fmt.Sprintf("%d guest-start", n), fmt.Sprintf("%d agent-up", n)}
}

func timeUp(n int) []string {
	return []string{fmt.Sprintf("%d workload", n), fmt.Sprintf("%d guest-end  the run's time is up", n)}
}

func lines(parts ...any) []string {
	var all []string
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			all = append(all, part)
		case []string:
			all = append(all, part...)
		}
	}
	return all
}

// steps returns the events of a type, of one guest or (0) of all.
func (r *record) steps(kind history.Type, guest int) []history.Event {
	var found []history.Event
	for _, e := range r.Events {
		if e.Type == kind && (guest == 0 || e.Guest == guest) {
			found = append(found, e)
		}
	}
	return found
}
