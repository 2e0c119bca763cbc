// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

func all(string, os.FileMode) bool { return true }

// TestRandomFile: whatever is below a device is drawn, however deep, but nothing
// behind a link; and its many files don't give a deep directory more than its share.
func TestRandomFile(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "cpu1/online", "1\n")
	for _, index := range []string{"index0", "index1", "index2"} {
		for _, name := range []string{"level", "size", "type"} {
			writeFile(t, tree, "cpu1/cache/"+index+"/"+name, "")
		}
	}
	writeFile(t, tree, "cpu1/deep/2/3/4/5/6/7/8", "")
	if err := errors.Join(os.Mkdir(tree.Path("cpu1/empty"), 0o755), os.Symlink("../cpu1", tree.Path("cpu1/self")),
		os.Symlink("cpu1", tree.Path("link"))); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	seen := map[string]int{}
	for range 1000 {
		path, err := randomFile(rng, tree.Path("link"), all)
		if err != nil {
			t.Fatal(err)
		}
		seen[strings.TrimPrefix(path, tree.Path("link")+"/")]++
	}
	if len(seen) != 10 || seen["cache/index2/size"] == 0 {
		t.Errorf("drawn: %v", seen)
	}
	if n := seen["online"]; n < 200 || n > 300 { // beside three directories
		t.Errorf("the device's own file is drawn %d times of 1000", n)
	}
	for _, dir := range []string{"cpu1/empty", "cpu2"} {
		if path, err := randomFile(rng, tree.Path(dir), all); !errors.Is(err, errIdle) {
			t.Errorf("%s: %q, %v", dir, path, err)
		}
	}
}

func TestStoreTreesWant(t *testing.T) {
	for _, spare := range spares {
		if spare.why == "" || matches(spare.name, "x") {
			t.Errorf("%+v: no reason, or everything", spare)
		}
	}
	anything, some := storeTree{}, storeTree{only: []string{"sched_*"}}
	for _, c := range []struct {
		from storeTree
		file string
		mode os.FileMode
		want bool
	}{
		{anything, "sys/kernel/mm/ksm/run", 0o644, true},
		{anything, "sys/devices/system/cpu/cpu1/online", 0o644, false},
		{anything, "proc/sys/vm/oom_kill_allocating_task", 0o644, false},
		{anything, "proc/sys/vm/drop_caches", 0o200, false},
		{anything, "sys/kernel/slab/dentry/objects", 0o400, false},
		{some, "proc/sys/kernel/sched_rt_period_us", 0o644, true},
		{some, "proc/sys/kernel/panic", 0o644, false},
	} {
		if got := c.from.wants(c.file, c.mode); got != c.want {
			t.Errorf("%s: %v", c.file, got)
		}
	}
	tree := sysfs.Tree(t.TempDir())
	for _, from := range storeTrees {
		glob(tree.Path(from.dir)) // panics at a bad pattern
		for _, pattern := range from.only {
			matches(pattern, "")
		}
	}
}

func TestValueChanges(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, sysfs.Tree(dir), "available_clocksource", "tsc hpet \n")
	for _, c := range []struct {
		name, text string
		want       []change
	}{
		{"defrag", "always [madvise] never\n", []change{{"always", "madvise"}, {"never", "madvise"}}},
		{"numa_stat", "1\n", []change{{"0", "1"}}},
		{"auto_movable_numa_aware", "Y\n", []change{{"N", "Y"}}},
		{"demotion_enabled", "false\n", []change{{"true", "false"}}},
		{"max_ptes_swap", "64\n", []change{{"128", "64"}, {"32", "64"}}},
		{"memory.max", "max\n", []change{{"4194304", "max"}}},
		{"current_clocksource", "tsc\n", []change{{"hpet", "tsc"}}},
		{"cpuset.mems", "\n", []change{{"0", "\n"}, {"0-1", "\n"}, {"1", "\n"}}},
		{"cpuset.cpus.partition", "member\n", []change{{"root", "member"}, {"isolated", "member"}}},
		{"features", "PLACE_LAG NO_HRTICK NO_LATENCY_WARN", []change{{"NO_PLACE_LAG", "PLACE_LAG"}, {"HRTICK", "NO_HRTICK"}}},
		{"shrink", "", []change{{to: "1"}}},
		{"min_free_kbytes", "4096\n", nil},
		{"huge", "4611686018427387904\n", nil},
		{"lowmem_reserve_ratio", "256\t32\t0\n", nil},
		{"current_governor", "menu\n", nil},
		{"memory.low", "", nil},
	} {
		if got := valueChanges(dir+"/"+c.name, c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s %q: %v", c.name, c.text, got)
		}
	}
}

// TestChangeIsTakenBack: also when ctx has ended, and unless the kernel refuses
// for good.
func TestChangeIsTakenBack(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "numa_stat", "0")
	rng := rand.New(rand.NewPCG(1, 1))
	ended, end := context.WithCancel(context.Background())
	end()
	for _, ctx := range []context.Context{context.Background(), ended} {
		// A write of an ended ctx is interrupted, if it is still going on (sysfs.Write).
		if err := (change{"1", "0"}).make(ctx, rng, tree.Path("numa_stat")); err != nil && (ctx.Err() == nil || !errors.Is(err, unix.EINTR)) {
			t.Error(err)
		}
		if got, err := tree.Text("numa_stat"); err != nil || got != "0" {
			t.Errorf("left at %q, %v", got, err)
		}
	}
	if err := (change{"1", ""}).make(context.Background(), rng, tree.Path("numa_stat")); err != nil {
		t.Error(err)
	}
	if got, err := tree.Text("numa_stat"); err != nil || got != "1" {
		t.Errorf("it has written %q, %v", got, err)
	}
	if err := (change{"1", "0"}).make(context.Background(), rng, tree.Path("gone")); !errors.Is(err, unix.ENOENT) {
		t.Errorf("of what has gone it says %v", err)
	}
}

// TestAttributeStores: what is wanted is written to, nothing else, and all is as
// it was; what another of its kind holds is let alone.
func TestAttributeStores(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	before := map[string]string{
		"proc/sys/vm/numa_stat": "1\n", "proc/sys/vm/panic_on_oom": "0\n", "proc/sys/kernel/panic": "7\n",
		"sys/devices/system/cpu/cpu1/online": "1\n", "sys/devices/system/cpu/cpu1/cpuidle/state0/disable": "0\n",
	}
	for file, text := range before {
		writeFile(t, tree, file, text)
	}
	writeFile(t, tree, "sys/kernel/slab/dentry/shrink", "")
	writeFile(t, tree, "sys/fs/cgroup/cgroup.controllers", "memory\n")
	c, err := runFor(t, 60, agent.Params{Seed: 3}, attributeStores{tree: tree}.run)
	if err != nil || c.done.Load() != 60 || c.refused.Load() != 0 {
		t.Errorf("done %d, refused %d, %v", c.done.Load(), c.refused.Load(), err)
	}
	before["sys/kernel/slab/dentry/shrink"] = "1"
	for file, want := range before {
		if got, err := os.ReadFile(tree.Path(file)); err != nil || string(got) != want {
			t.Errorf("%s is left at %q, %v", file, got, err)
		}
	}
	if left := glob(tree.Path("sys/fs/cgroup/plugstorm-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	held := tree.Path("proc/sys/vm/numa_stat")
	release, err := hold(held)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []error{unix.EADDRINUSE, nil} {
		err := (attributeStores{tree: tree}).store(context.Background(), rand.New(rand.NewPCG(1, 1)), held, true)
		if !errors.Is(err, want) {
			t.Errorf("what another toggles: %v, want %v", err, want)
		}
		release()
		release = func() {}
	}
}
