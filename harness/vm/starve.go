// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// HostTime is how QEMU's threads have fared on the host so far.
type HostTime struct {
	Ran    time.Duration // on a CPU
	Waited time.Duration // runnable, waiting for a CPU
}

// Starved is the share of the time since an earlier reading in which QEMU
// wanted a CPU and got none, 0 to 1.
func (t HostTime) Starved(since HostTime) float64 {
	ran, waited := t.Ran-since.Ran, t.Waited-since.Waited
	if ran < 0 || waited <= 0 { // threads that ended have taken their times along
		return 0
	}
	return float64(waited) / float64(ran+waited)
}

// CPUs is on how many CPUs QEMU ran on average in the time since an earlier reading.
func (t HostTime) CPUs(since HostTime, passed time.Duration) float64 {
	if passed <= 0 || t.Ran < since.Ran {
		return 0
	}
	return float64(t.Ran-since.Ran) / float64(passed)
}

// HostTime reads how QEMU has fared, over all its threads that live. It is
// zero where the host's kernel doesn't tell
// (Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat).
func (v *VM) HostTime() HostTime {
	var sum HostTime
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", v.process.PID()))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		var ran, waited int64
		if _, err := fmt.Sscan(string(data), &ran, &waited); err == nil {
			sum.Ran += time.Duration(ran)
			sum.Waited += time.Duration(waited)
		}
	}
	return sum
}
