// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"plugstorm/guests"
	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/harness/speed"
	"plugstorm/harness/vm"
)

// A fakePlugstorm runs nothing and records what a run would have.
type fakePlugstorm struct {
	mu     sync.Mutex
	calls  []string
	cold   bool // it never finds a snapshot
	broken bool // its runs come to nothing
}

func (f *fakePlugstorm) command(_ context.Context, args ...string) (child, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, strings.Join(args, " "))
	c := child{started: time.Now(), took: 2 * time.Second, memory: memory{peak: 40}, guests: map[int]memory{1: {resident: 200, private: 150}, 2: {resident: 400, private: 350}}}
	dir := args[len(args)-1]
	if args[0] == "judge" {
		return c, os.WriteFile(filepath.Join(dir, "x86_64", verdictFile), nil, 0o644)
	}
	dir = args[slices.Index(args, "--out")+1]
	vms, err := strconv.Atoi(args[slices.Index(args, "--vms")+1])
	for _, slot := range slotDirs("x86_64", vms) {
		err = errors.Join(err, f.record(filepath.Join(dir, slot), c.started, !f.cold && !slices.Contains(args, "--cold")))
	}
	return c, err
}

// record writes the record of a run in which a DIMM went in and out.
func (f *fakePlugstorm) record(dir string, started time.Time, restored bool) error {
	if err := os.MkdirAll(filepath.Join(dir, "guest-1"), 0o755); err != nil {
		return err
	}
	begun := started.Add(50 * time.Millisecond)
	h, err := history.Create(dir, begun)
	if err != nil {
		return err
	}
	at := func(s float64, e history.Event) { h.AddAt(begun.Add(time.Duration(s*float64(time.Second))), e) }
	at(0, history.Event{Type: history.RunStart, Case: &history.Case{Version: history.Version, Machine: "x86_64", Suite: "smoke", Started: begun}})
	up := 6.0
	if restored {
		up = 0.3
	}
	at(0.1, history.Event{Type: history.GuestStart, Guest: 1, Restored: restored, Text: "/snapshot"})
	at(up, history.Event{Type: history.AgentUp, Guest: 1})
	for i, text := range []string{
		`{"kind": "workload-start", "args": {}}`,
		`{"kind": "dimm-add", "args": {"id": "dimm3", "mib": 384, "node": 1}}`,
		`{"kind": "dimm-remove", "args": {"id": "dimm3"}}`,
		`{"kind": "dimm-add", "args": {"id": "dimm4", "mib": 128, "node": 1}}`, // the end of the storm cuts it off
	} {
		if f.broken {
			break
		}
		var spec op.Spec
		if err := json.Unmarshal([]byte(text), &spec); err != nil {
			return err
		}
		at(up+float64(i), history.Event{Type: history.StepBegin, Guest: 1, Seq: i + 1, Step: &schedule.Step{Lane: "a", Op: spec}})
		outcome := op.Done
		if i == 3 {
			outcome = ""
		}
		at(up+float64(i)+1, history.Event{Type: history.StepEnd, Guest: 1, Seq: i + 1, Outcome: outcome})
	}
	for i, cpu := range []time.Duration{10, 12, 16} {
		at(up+0.5+float64(i), history.Event{Type: history.Host, Guest: 1, CPUs: 1.5, ControllerCPU: cpu * time.Millisecond})
	}
	at(up+4, history.Event{Type: history.GuestEnd, Guest: 1})
	at(up+5, history.Event{Type: history.RunEnd})
	return errors.Join(os.WriteFile(filepath.Join(dir, "guest-1", vm.ConsoleLog), []byte("[ 1.0] boot\n"), 0o644), h.Close())
}

// newFakeSpeed makes a benchmark whose runs are fake and whose QEMU doesn't exist.
func newFakeSpeed(t *testing.T, f *fakePlugstorm, args ...string) (*speedBench, *strings.Builder) {
	t.Helper()
	a, stdout, _ := testApp("")
	a.ui.quiet = true
	flags := &speedFlags{}
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.define(set)
	if err := errors.Join(set.Parse(args), flags.check()); err != nil {
		t.Fatal(err)
	}
	b := &speedBench{app: a, flags: flags, dir: t.TempDir(), command: f.command, backend: vm.QEMU, host: hostFacts()}
	b.targets = []*speedTarget{{machine: guests.X8664, spec: vm.Spec{Machine: guests.X8664, Accel: vm.TCG, Emulator: "/nonexistent"}}}
	b.plan()
	if err := b.measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b, stdout
}

// median is a measure's median in a table.
func median(t *testing.T, table *speed.Table, what, measure string) float64 {
	t.Helper()
	for _, r := range table.Rows {
		if r.What == what {
			return r.Stats[measure].Median
		}
	}
	return 0
}

func TestSpeedMeasures(t *testing.T) {
	f := &fakePlugstorm{}
	b, _ := newFakeSpeed(t, f, "--repeat", "3", "--part", "start", "--part", "cycles", "--part", "guests", "--part", "history", "--guests", "1,3", "--minutes", "2")
	table := speed.NewTable(b.samples)
	for _, want := range []struct {
		what, measure string
		value         float64
	}{
		{speed.Cold, "start_s", 6.05}, {speed.Cold, "hotplug_s", 7.05}, {speed.Snapshot, "start_s", 0.35}, {speed.Snapshot, "command_s", 0.05},
		{speed.Snapshot, "guest_s", 0.3}, {speed.Paced, "cycles_per_s", 1.0 / 3}, {speed.Paced, "units_per_s", 1}, {speed.Stormed, "ops_per_s", 1},
		{speed.Paced, "cpus", 1.5}, {speed.Paced, "controller_ms", 3}, {speed.Together, "controller_ms", 3}, // of two ops between the looks
		{speed.Together, "controller_mib", 40}, {speed.Together, "private_mib", 250}, {speed.Judge, "judge_s", 2},
	} {
		if got := median(t, table, want.what, want.measure); got < want.value*0.999 || got > want.value*1.001 {
			t.Errorf("%s %s is %v, want %v", want.what, want.measure, got, want.value)
		}
	}
	for _, s := range b.samples {
		if s.What == speed.Together && s.Size == 3 && (s.Values["ops_per_s"] < 2.99 || s.Values["qemu_mib"] != 300) {
			t.Errorf("three guests together: %+v", s)
		}
		if s.What == speed.Judge && s.Values["events"] < 90 {
			t.Errorf("two minutes of a run of 4 s: %+v", s)
		}
	}
	if n := strings.Count(strings.Join(f.calls, "\n"), "--cold"); n != 9 {
		t.Errorf("%d runs were to boot:\n%s", n, strings.Join(f.calls, "\n"))
	}
	// Bare QEMU could not be started: that is said, and the rest measured.
	if table.Complete() || len(b.samples) != 3*4+3*3+2*3+1 {
		t.Errorf("complete %v, %d samples", table.Complete(), len(b.samples))
	}
	data, err := os.ReadFile(filepath.Join(b.dir, samplesFile))
	if got, e := speed.ParseSamples(data); err != nil || e != nil || len(got) != len(b.samples) {
		t.Errorf("%d samples recorded, %v %v", len(got), err, e)
	}
}

// TestSpeedDoesNotPretend: a start that was none from a snapshot is no such
// sample, and where none can be, that is no failure.
func TestSpeedDoesNotPretend(t *testing.T) {
	last := func(f *fakePlugstorm, change func(*speedTarget)) speed.Sample {
		b, _ := newFakeSpeed(t, f, "--repeat", "1", "--part", "history", "--minutes", "1")
		change(b.targets[0])
		b.todo = []measurement{{speed.Sample{Part: "start", Machine: "x86_64", What: speed.Snapshot, Rep: 1}, b.way(b.targets[0], speed.Sample{What: speed.Snapshot})}}
		if err := b.measure(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b.samples[len(b.samples)-1]
	}
	b, _ := newFakeSpeed(t, &fakePlugstorm{}, "--repeat", "1", "--part", "slots", "--slots", "256")
	b.targets[0].machine = guests.PSeries
	var impossible *impossibleError
	if _, err := b.slots(t.Context(), b.targets[0], speed.Sample{Part: "slots", Size: 64}); !errors.As(err, &impossible) {
		t.Errorf("pseries has 32 slots: %v", err)
	}
	none := func(*speedTarget) {}
	if s := last(&fakePlugstorm{}, none); s.Failed || s.Values["start_s"] == 0 {
		t.Errorf("%+v", s)
	}
	if s := last(&fakePlugstorm{cold: true}, none); !s.Failed || len(s.Values) > 0 {
		t.Errorf("a boot passes for a restore: %+v", s)
	}
	why := errors.New("a defect")
	if s := last(&fakePlugstorm{}, func(t *speedTarget) { t.noRestore = why }); s.Failed || s.Note != "a defect" {
		t.Errorf("%+v", s)
	}
}

func TestSpeedReport(t *testing.T) {
	b, stdout := newFakeSpeed(t, &fakePlugstorm{}, "--repeat", "1", "--part", "history", "--minutes", "1", "--json")
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("# a\n<!-- bench speed: history -->\n<!-- end -->\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.flags.docs = []string{page}
	if err := b.report(); err != nil {
		t.Fatal(err)
	}
	var out struct {
		Version  int
		Complete bool
		Host     struct{ Cores int }
		Rows     []struct{ Size int }
	}
	if err := json.Unmarshal([]byte(stdout.String()), &out); err != nil || out.Version != speed.JSONVersion || !out.Complete || out.Host.Cores == 0 || out.Rows[0].Size != 1 {
		t.Errorf("%v: %s", err, stdout)
	}
	text, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(text), "plugstorm judge | x86_64 | 1 |") {
		t.Errorf("%v: %s", err, text)
	}
	b.samples[0].Failed = true
	if err := b.report(); !errors.Is(err, errIncomplete) {
		t.Errorf("a failure is no error: %v", err)
	}
}

func TestSpeedFlags(t *testing.T) {
	for _, args := range [][]string{
		{"--repeat", "0"}, {"--loop", "1ms"}, {"--part", "none"}, {"--guests", "0"}, {"--slots", "1000"}, {"--minutes", "-1"},
		{"--accel", "hope"}, {"--write-docs", "/nonexistent"},
	} {
		f, set := &speedFlags{}, pflag.NewFlagSet("", pflag.ContinueOnError)
		f.define(set)
		if err := set.Parse(args); err != nil {
			t.Fatal(err)
		}
		if err := f.check(); blame.Of(err) != blame.User || blame.Next(err) == "" {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestHostFacts(t *testing.T) {
	if v := parsePressure("some avg10=96.04 avg60=81.02 avg300=67.76 total=1\nfull avg10=0.00 avg60=1.00\n", "avg60"); v != 81.02 {
		t.Errorf("the pressure is %v", v)
	}
	if v := parseField("VmPeak:\t 5 kB\nVmRSS:\t   1024 kB\n", "VmRSS:"); v != 1024 {
		t.Errorf("VmRSS is %v", v)
	}
	for _, text := range []string{"", "some", "VmRSS: lots", "VmRSS: -1"} {
		if v := parseField(text, "VmRSS:") + parsePressure(text, "avg60"); v != 0 {
			t.Errorf("%q gives %v", text, v)
		}
	}
	if m := memoryOf(os.Getpid()); m.resident <= 0 || m.peak < m.resident || m.private <= 0 {
		t.Errorf("our own memory is %+v", m)
	}
	if m := withSlots(guests.PSeries, 64); m.DIMM.Slots != 64 || m.MaxMemMiB < m.MemMiB+64*m.DIMM.UnitMiB || guests.PSeries.DIMM.Slots == 64 {
		t.Errorf("%+v", m)
	}
}
