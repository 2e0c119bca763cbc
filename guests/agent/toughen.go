// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	memoryLimit = 96 << 20 // soft limit of the Go heap; the largest message is 4 MiB
	gcPercent   = 50
	// spareThreads are made before the storm. Go needs a thread for every
	// system call that is stuck, and clone(2) itself can stick in a storm:
	// it takes cgroup_threadgroup_rwsem, and memory.
	spareThreads = 24
)

// toughen makes the agent survive a storm. Errors are for the console: a
// softer agent is better than none.
//
// No real-time priority. An agent that may preempt everything on a CPU changes
// the interleavings that we are here to see, and would starve the per-CPU
// kworkers that hotplug waits for. Nice -20 gives a thread that mostly sleeps
// its CPU soon enough, 86 times the weight of a workload's.
func toughen() []error {
	debug.SetMemoryLimit(memoryLimit)
	debug.SetGCPercent(gcPercent)
	var errs []error
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0); err != nil {
		errs = append(errs, fmt.Errorf("oom_score_adj: %w", err))
	}
	// Pages are locked as they come (MCL_ONFAULT): Go reserves much more than
	// it uses. Locked pages still migrate, so they don't keep a memory block
	// from going offline. A child doesn't inherit the lock.
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		errs = append(errs, fmt.Errorf("mlockall: %w", err))
	}
	if err := nice("/proc/self/task", -20); err != nil {
		errs = append(errs, err)
	}
	// While khugepaged builds a huge page of ours, our page faults wait for it.
	if err := unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0); err != nil {
		errs = append(errs, fmt.Errorf("prctl(PR_SET_THP_DISABLE): %w", err))
	}
	reserveThreads(spareThreads)
	return errs
}

// nice sets the nice value of every thread; threads made later inherit it.
func nice(tasks string, value int) error {
	entries, err := os.ReadDir(tasks)
	if err != nil {
		return fmt.Errorf("nice: %w", err)
	}
	for _, entry := range entries {
		tid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, value); err != nil {
			return fmt.Errorf("nice: %w", err)
		}
	}
	return nil
}

// wakeKhugepaged gives khugepaged, which runs at nice 19, the priority of
// everybody else. It copies a huge page inside one RCU read-side section
// (mm/khugepaged.c __collapse_huge_page_copy, under pte_offset_map). In an
// emulated guest that takes 50 ms, and a storm preempted it there for minutes:
// no grace period ended, and all that waits for one looked hung.
func wakeKhugepaged(proc string) error {
	names, err := filepath.Glob(filepath.Join(proc, "[0-9]*/comm"))
	if err != nil {
		return err
	}
	for _, path := range names {
		if name, err := os.ReadFile(path); err == nil && string(name) == "khugepaged\n" {
			return nice(filepath.Join(filepath.Dir(path), "task"), 0)
		}
	}
	return nil // a kernel without it
}

// reserveThreads makes the runtime own at least n threads. It keeps a thread
// that no goroutine is locked to, idle, for ever.
func reserveThreads(n int) {
	var all, done sync.WaitGroup
	all.Add(n)
	for range n {
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			all.Done()
			all.Wait()
		})
	}
	done.Wait()
}
