// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// TestTaskAffinity: whatever a host allows its threads, no round is an error.
func TestTaskAffinity(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	if err := (taskAffinity{tree: tree}).run(t.Context(), agent.Params{}, &counter{}); err == nil {
		t.Error("no CPUs are no error")
	}
	writeFile(t, tree, "sys/devices/system/cpu/possible", "0-63\n")
	if n, err := (taskAffinity{tree: tree}).possible(); err != nil || n != 8 {
		t.Errorf("%d possible CPUs, %v", n, err)
	}
	if _, err := runFor(t, 60, agent.Params{}, taskAffinity{tree: tree}.run); err != nil {
		t.Error(err)
	}
}

// TestBindToSome: a thread is never left without a CPU that is asked for.
func TestBindToSome(t *testing.T) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // never unlocked: the thread ends with its affinity
		rng := rand.New(rand.NewPCG(1, 1))
		for range 20 {
			err := bindToSome(rng, 1)
			var set unix.CPUSet
			if got := unix.SchedGetaffinity(0, &set); got != nil || err == nil && (set.Count() != 1 || !set.IsSet(0)) {
				t.Errorf("%v, %v, %d CPUs", err, got, set.Count())
			}
		}
	}()
	<-ended
}
