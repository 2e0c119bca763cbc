// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

func TestKnobsAreTurnedAndRestored(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	for _, file := range []string{"a", "dir1/b", "dir2/b", "read-only"} {
		writeFile(t, tree, file, "before")
	}
	list := []knob{{"a", []string{"x"}}, {"dir*/b", []string{"y"}}, {"read-only", nil}, {"absent", []string{"z"}}}
	during := map[string]bool{}
	k := knobs{tree: tree, list: list}
	if before := k.save(); len(before) != 3 {
		t.Errorf("it saves %q", before)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		if err := k.turn(context.Background(), rng); err != nil && !errors.Is(err, errIdle) {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"a", "dir1/b", "dir2/b", "read-only"} {
		text, err := tree.Text(file)
		if err != nil {
			t.Fatal(err)
		}
		during[file+"="+text[:1]] = true
	}
	for _, want := range []string{"a=x", "dir1/b=y", "dir2/b=y", "read-only=b"} {
		if !during[want] {
			t.Errorf("after 200 rounds: %v, want %s", during, want)
		}
	}
	if _, err := os.Stat(tree.Path("absent")); !os.IsNotExist(err) {
		t.Error("a knob was made that the kernel doesn't have")
	}
	writeFile(t, tree, "a", "before")
	if c, err := runFor(t, 20, agent.Params{}, k.run); err != nil || c.refused.Load() != 0 {
		t.Errorf("refused %d, %v", c.refused.Load(), err)
	}
	if text, err := tree.Text("a"); err != nil || text[:6] != "before" {
		t.Errorf("it leaves %q, %v", text, err)
	}
}

// TestKnobsOfThisKernelOnly: a kernel with none of them is no error.
func TestKnobsOfThisKernelOnly(t *testing.T) {
	k := knobs{tree: sysfs.Tree(t.TempDir()), list: []knob{{"sys/none", []string{"1"}}}}
	if err := k.turn(context.Background(), rand.New(rand.NewPCG(1, 1))); !errors.Is(err, errIdle) {
		t.Errorf("got %v", err)
	}
}

// TestStops: a CPU is never left where its workers belong to nobody.
func TestStops(t *testing.T) {
	all := []sysfs.CPUStep{{Number: 0, Name: "offline"}, {Number: 40, Name: "cpu:bringup"}, {Number: 90, Name: "half"}, {Number: 180, Name: "workqueue:online"}, {Number: 238, Name: "online"}}
	if got := stops(all); !slices.Equal(got, []sysfs.CPUStep{all[0], all[3], all[4]}) {
		t.Errorf("got %v", got)
	}
	if got := stops(all[:3]); !slices.Equal(got, all[2:3]) {
		t.Errorf("in a kernel with other names it stops at %v", got)
	}
}

// TestRollbackSparesTheDead: steps of a dead CPU are never told to fail.
func TestRollbackSparesTheDead(t *testing.T) {
	for name, want := range map[string]bool{"slub:dead": true, "cpuidle/pseries:DEAD": true, "smpcfd:prepare": false, "deadline:online": false} {
		if got := (sysfs.CPUStep{Number: 1, Name: name}).OnlyDead(); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	tree := sysfs.Tree(t.TempDir())
	for _, file := range []string{"online", "hotplug/fail"} {
		writeFile(t, tree, "sys/devices/system/cpu/cpu1/"+file, "")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	states := []sysfs.CPUStep{{Number: 7, Name: "a:dead"}, {Number: 8, Name: "b:prepare"}, {Number: 9, Name: "c:dead"}}
	for range 50 {
		if err := rollback(context.Background(), cpuStates{tree: tree}, 1, states, rng); err != nil {
			t.Fatal(err)
		}
		if got, err := tree.Text("sys/devices/system/cpu/cpu1/hotplug/fail"); err != nil || got != "8" {
			t.Fatalf("step %s is to fail, %v", got, err)
		}
	}
}

// TestCPUStatesBringBack: whatever a round does, the CPU ends up online, with
// nothing left to fail.
func TestCPUStatesBringBack(t *testing.T) {
	for name, round := range map[string]func(context.Context, cpuStates, int, []sysfs.CPUStep, *rand.Rand) error{"rollback": rollback, "partial": partial} {
		tree := sysfs.Tree(t.TempDir())
		writeFile(t, tree, "sys/devices/system/cpu/hotplug/states", "  0: offline\n 60: middle\n238: online\n")
		for _, file := range []string{"online", "hotplug/fail", "hotplug/target"} {
			writeFile(t, tree, "sys/devices/system/cpu/cpu1/"+file, "")
		}
		if c, err := runFor(t, 20, agent.Params{}, cpuStates{tree: tree, round: round}.run); err != nil || c.done.Load() < 20 {
			t.Errorf("%s: done %d, %v", name, c.done.Load(), err)
		}
		for file, want := range map[string]string{"online": "1", "hotplug/fail": "-1", "hotplug/target": "238"} {
			if got, err := tree.Text("sys/devices/system/cpu/cpu1", file); err != nil || len(got) < len(want) || got[:len(want)] != want {
				t.Errorf("%s leaves %s at %q, %v", name, file, got, err)
			}
		}
	}
}

func TestCPUStatesNeedStateControl(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	c := &counter{}
	ctx, cancel := context.WithTimeout(context.Background(), 2*idlePause)
	defer cancel()
	if err := (cpuStates{tree: tree, round: rollback}).run(ctx, agent.Params{}, c); err != nil || c.done.Load() != 0 {
		t.Errorf("done %d, %v", c.done.Load(), err)
	}
}

func TestCgroupV2CleansUpAfterItself(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	r := cgroupV2{tree: tree, name: "test"}.around(func(context.Context, string, *rand.Rand) error { return nil })
	if err := r(context.Background(), nil); !errors.Is(err, errIdle) {
		t.Errorf("without a hierarchy: %v", err)
	}
	writeFile(t, tree, "sys/fs/cgroup/cgroup.controllers", "cpuset memory\n")
	// A plain directory has no cgroup.procs: the round fails and leaves nothing behind.
	if err := r(context.Background(), nil); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v", err)
	}
	left, err := filepath.Glob(tree.Path("sys/fs/cgroup/plugstorm-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestSlabShrink(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	for _, cache := range nodeCaches {
		writeFile(t, tree, "sys/kernel/slab/"+cache+"/shrink", "")
	}
	if c, err := runFor(t, 3, agent.Params{}, slabShrink{tree: tree}.run); err != nil || c.done.Load() != 3 {
		t.Errorf("done %d, refused %d, %v", c.done.Load(), c.refused.Load(), err)
	}
	for _, cache := range nodeCaches {
		if got, err := tree.Text("sys/kernel/slab", cache, "shrink"); err != nil || got != "1" {
			t.Errorf("%s: %q, %v", cache, got, err)
		}
	}
}

// TestNodeMigrate moves real pages of the test's: to a node that there is.
func TestNodeMigrate(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "sys/devices/system/node/has_memory", "0\n")
	p := agent.Params{Options: map[string]int64{"mib": 1}}
	if c, err := runFor(t, 3, p, nodeMigrate{tree: tree}.run); err != nil || c.done.Load()+c.refused.Load() < 3 {
		t.Errorf("done %d, refused %d, %v", c.done.Load(), c.refused.Load(), err)
	}
}
