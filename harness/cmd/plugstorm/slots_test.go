// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plugstorm/guests"
	"plugstorm/harness/history"
	"plugstorm/harness/pool"
	"plugstorm/harness/report"
	"plugstorm/harness/run"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
)

// TestSlotSeeds: the first slot's seed is the run's, more slots change none of
// those before, all are different, can be typed, and depend on the seed alone.
func TestSlotSeeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed, n := rapid.Int64Min(0).Draw(t, "seed"), rapid.IntRange(1, maxVMs).Draw(t, "slots")
		seeds := slotSeeds(seed, n)
		if len(seeds) != n || seeds[0] != seed || !slices.Equal(seeds, slotSeeds(seed, maxVMs)[:n]) {
			t.Fatalf("%d: %v", n, seeds)
		}
		if sorted := slices.Sorted(slices.Values(seeds)); len(slices.Compact(sorted)) != n || sorted[0] < 0 {
			t.Fatalf("some are alike, or negative: %v", seeds)
		}
	})
	one, two := slotSeeds(1, 3), slotSeeds(2, 3)
	if slices.Contains(two, one[1]) || slices.Contains(two, one[2]) {
		t.Errorf("neighbouring seeds repeat each other: %v, %v", one, two)
	}
	if want := []int64{7, 1344522092, 1724753403}; !slices.Equal(slotSeeds(7, 3), want) {
		t.Errorf("recorded commands name other seeds than %v: %v", want, slotSeeds(7, 3))
	}
}

// TestShare: every machine has a slot, what is left goes to the first ones.
func TestShare(t *testing.T) {
	small := pool.Host{Cores: 2, Available: func() int64 { return 1 << 40 }}
	large := pool.Host{Cores: 12, Available: func() int64 { return 1 << 40 }}
	x, p := guests.X8664, guests.PSeries
	for _, tt := range []struct {
		name     string
		asked    int
		host     pool.Host
		machines []*vm.Machine
		vms      int
		want     []string // directories
	}{
		{"one", 1, large, []*vm.Machine{x, p}, 1, []string{"x86_64", "pseries"}},
		{"one for each", 2, small, []*vm.Machine{x, p}, 2, []string{"x86_64", "pseries"}},
		{"an odd one", 3, small, []*vm.Machine{x, p}, 3, []string{"x86_64/slot-1", "x86_64/slot-2", "pseries"}},
		{"several of one", 3, small, []*vm.Machine{p}, 3, []string{"pseries/slot-1", "pseries/slot-2", "pseries/slot-3"}},
		{"by a small host", 0, small, []*vm.Machine{x}, 1, []string{"x86_64"}},
		{"by a large host", 0, large, []*vm.Machine{x, p}, 6, []string{
			"x86_64/slot-1", "x86_64/slot-2", "x86_64/slot-3", "pseries/slot-1", "pseries/slot-2", "pseries/slot-3",
		}},
	} {
		plan := &plan{seed: 7, machines: tt.machines, scenario: &schedule.Scenario{}}
		plan.share(tt.asked, tt.host)
		var dirs []string
		for _, m := range tt.machines {
			for i, s := range plan.slots(m) {
				dirs = append(dirs, s.dir(m.Name))
				if s.seed != slotSeeds(7, maxVMs)[i] {
					t.Errorf("%s: slot %d of %s has seed %d", tt.name, s.number, m.Name, s.seed)
				}
			}
		}
		if diff := cmp.Diff(tt.want, dirs); diff != "" || plan.vms != tt.vms {
			t.Errorf("%s: %d at a time; %s", tt.name, plan.vms, diff)
		}
	}
}

// TestSlotConfig: a slot's record names the command that repeats it alone.
func TestSlotConfig(t *testing.T) {
	a, _, _ := testApp("")
	p := &plan{flags: &runFlags{rules: "default", accel: "auto"}, scenario: schedule.Scenarios.All()[0], duration: time.Minute, dir: "/runs/1"}
	r := &ready{machine: guests.PSeries, config: run.Config{Snapshots: cachedGuests{}, Case: history.Case{VMs: 4}}}
	c := r.slotConfig(p, slot{number: 2, of: 4, seed: 99})
	f, _, err := a.parseRun(c.Case.Command)
	if err != nil || f.seed != 99 || f.vms != 1 || !slices.Equal(f.machines, []string{"pseries"}) {
		t.Errorf("%q: %v", c.Case.Command, err)
	}
	if c.Dir != "/runs/1/pseries/slot-2" || c.Case.Seed != 99 || c.Case.Slot != 2 || c.Case.Slots != 4 || c.Case.VMs != 4 || c.Snapshots == nil || c.Case.Cold {
		t.Errorf("%+v", c)
	}
	cold := r.slotConfig(p, slot{cold: true})
	if cold.Dir != "/runs/1/pseries" || cold.Snapshots != nil || !cold.Case.Cold || r.config.Snapshots == nil {
		t.Errorf("%+v", cold)
	}
}

// TestTogether: several runs are shown as one.
func TestTogether(t *testing.T) {
	configs := []run.Config{{Machine: guests.X8664}, {Machine: guests.PSeries}, {Machine: guests.X8664}}
	for i := range configs {
		configs[i].Case.Duration = time.Minute
	}
	var got run.Progress
	all := newTogether(configs, func(p run.Progress) { got = p })
	all.hear(0, run.Progress{Machine: "x86_64", Phase: "storming", Elapsed: 20 * time.Second, Total: time.Minute, Guest: 1, Steps: 5, Findings: 1})
	want := run.Progress{Machine: "x86_64 ×2, pseries", Phase: "1 storming, 2 waiting", Total: time.Minute, Guest: 1, Steps: 5, Findings: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	all.over(2)
	all.hear(1, run.Progress{Machine: "pseries", Phase: "storming", Elapsed: 10 * time.Second, Total: time.Minute, Guest: 3, Steps: 2})
	want.Phase, want.Elapsed, want.Guest, want.Steps = "1 done, 2 storming", 10*time.Second, 4, 7
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	one := newTogether(configs[:1], func(p run.Progress) { got = p })
	one.hear(0, run.Progress{Machine: "x86_64", Phase: "booting", Total: time.Minute, Guest: 1})
	if got.Machine != "x86_64" || got.Phase != "booting" {
		t.Errorf("alone: %+v", got)
	}
}

// TestRecordedParts: what is recorded is found from every level, slots by their
// numbers, and nothing else is taken for a record.
func TestRecordedParts(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{
		"run/x86_64/slot-1/", "run/x86_64/slot-2/", "run/x86_64/slot-10/", "run/x86_64/slot-x/", "run/pseries/", "run/pseries/guest-1/slot-1/", "run/empty/slot-1/none/",
	} {
		if err := os.MkdirAll(filepath.Join(dir, file), 0o755); err != nil {
			t.Fatal(err)
		}
		if filepath.Base(file) != "none" {
			if err := os.WriteFile(filepath.Join(dir, file, history.File), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	list := func(parts []part) []string {
		var all []string
		for _, p := range parts {
			for _, s := range p.slots {
				from, err := filepath.Rel(dir, p.dir)
				to, err2 := filepath.Rel(dir, s)
				if err != nil || err2 != nil {
					t.Fatal(err, err2)
				}
				all = append(all, from+" "+to)
			}
		}
		return all
	}
	x := []string{"run/x86_64 run/x86_64/slot-1", "run/x86_64 run/x86_64/slot-2", "run/x86_64 run/x86_64/slot-10"}
	for from, want := range map[string][]string{
		"run":               append([]string{"run/pseries run/pseries"}, x...),
		"run/x86_64":        x,
		"run/x86_64/slot-2": {"run/x86_64/slot-2 run/x86_64/slot-2"},
		"run/pseries":       {"run/pseries run/pseries"},
	} {
		_, parts, err := recordedParts(filepath.Join(dir, from))
		if diff := cmp.Diff(want, list(parts)); diff != "" || err != nil {
			t.Errorf("%s: %v %s", from, err, diff)
		}
	}
	if _, parts, err := recordedParts(filepath.Join(dir, "run/empty")); err == nil {
		t.Errorf("nothing became %v", list(parts))
	}
}

// TestExpectedSlots: those that a record says there were are missed, however
// many it says.
func TestExpectedSlots(t *testing.T) {
	m := func(of int) report.Machine { return report.Machine{Case: history.Case{Slots: of}} }
	for _, tt := range []struct {
		found map[int]report.Machine
		want  int
		last  int
	}{
		{map[int]report.Machine{1: m(2), 2: m(2)}, 2, 2},
		{map[int]report.Machine{2: m(3)}, 3, 3},
		{map[int]report.Machine{2: m(0), 7: m(-1)}, 2, 7},
		{map[int]report.Machine{1: m(1 << 40), 1 << 40: m(0)}, maxVMs + 1, 1 << 40},
	} {
		got := expectedSlots(tt.found)
		if len(got) != tt.want || got[len(got)-1] != tt.last {
			t.Errorf("%v: %v", tt.found, got)
		}
	}
}
