// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/agent"
)

func TestBlocked(t *testing.T) {
	status := func(name, state string, pid, a, b int) string {
		return fmt.Sprintf("Name:\t%s\nUmask:\t0022\nState:\t%s\nTgid:\t1\nPid:\t%d\nvoluntary_ctxt_switches:\t%d\nnonvoluntary_ctxt_switches:\t%d\n", name, state, pid, a, b)
	}
	stat := func(name, state string, pid, threads int) string {
		return fmt.Sprintf("%d (%s) %s 2 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 %d 0 1 0 0\n", pid, name, state, threads)
	}
	a := &guestAgent{tree: kernelFiles(t, map[string]string{
		"proc/1/task/1/stat":     stat("init", "S", 1, 2),
		"proc/1/task/12/stat":    stat("init", "D", 12, 2),
		"proc/1/task/12/status":  status("init", "D (disk sleep)", 12, 30, 4),
		"proc/9/task/9/stat":     stat("kworker) D 1 (", "I", 9, 1),
		"proc/9/task/9/status":   status("kworker) D 1 (", "D (disk sleep)", 9, 1, 1), // it isn't even looked at
		"proc/10/task/10/stat":   stat("kcompactd1", "D", 10, 1),
		"proc/10/task/10/status": status("kcompactd1", "D (disk sleep)", 10, 5, 0),
		"proc/11/task/11/stat":   "", // it has just ended
		"proc/13/task/13/stat":   stat("ran", "D", 13, 1),
		"proc/13/task/13/status": status("ran", "R (running)", 13, 5, 0), // since
		"proc/14/task/14/stat":   stat("gone", "D", 14, 1),
		"proc/self/task/77/stat": stat("self", "D", 77, 1),
	})}
	got, err := a.blocked()
	if err != nil {
		t.Fatal(err)
	}
	want := agent.BlockedReply{Tasks: []agent.BlockedTask{{PID: 12, Name: "init", Switches: 34}, {PID: 10, Name: "kcompactd1", Switches: 5}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := (&guestAgent{tree: kernelFiles(t, nil)}).blocked(); err == nil {
		t.Error("without proc nothing is known, and it says so")
	}
}
