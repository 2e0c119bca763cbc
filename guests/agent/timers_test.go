// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
)

// TestTimers: this host's CPUs wake up, and no thread of ours stays bound to one.
func TestTimers(t *testing.T) {
	a := &guestAgent{tree: "/"}
	for range 20 {
		reply, err := a.timers(agent.TimersParams{LimitMS: 60_000})
		if err != nil || len(reply.(agent.TimersReply).Dead) != 0 {
			t.Fatalf("%+v, %v", reply, err)
		}
	}
	var mask unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mask); err != nil || mask.Count() != runtime.NumCPU() {
		t.Errorf("a thread is bound to %d CPUs: %v", mask.Count(), err)
	}
}
