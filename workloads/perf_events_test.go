// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// TestPerfEvents: whatever a host allows, no round is an error, and what is set is
// given back.
func TestPerfEvents(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	const percent = "proc/sys/kernel/perf_cpu_time_max_percent"
	writeFile(t, tree, percent, "before")
	writeFile(t, tree, "sys/devices/system/cpu/online", "0\n")
	if _, err := runFor(t, 30, agent.Params{Rate: 1000}, perfEvents{tree: tree}.run); err != nil {
		t.Fatal(err)
	}
	if text, err := tree.Text(percent); err != nil || text[:6] != "before" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestPerfTarget: an event is never asked of a CPU that isn't online.
func TestPerfTarget(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "sys/devices/system/cpu/online", "0,3\n")
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		pid, cpu, err := (perfEvents{tree: tree}).target(rng)
		if err != nil || (pid != 0 || cpu != -1) && (pid != -1 || cpu != 0 && cpu != 3) {
			t.Fatalf("%d, %d, %v", pid, cpu, err)
		}
	}
}

func TestCloseAll(t *testing.T) {
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	if err := closeAll(fds[:]); err != nil {
		t.Error(err)
	}
	if err := closeAll([]int{-1}); err == nil {
		t.Error("no descriptor is closed")
	}
}
