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
	a := &guestAgent{tree: kernelFiles(t, map[string]string{
		"proc/1/task/1/status":     status("init", "S (sleeping)", 1, 1, 1),
		"proc/1/task/12/status":    status("init", "D (disk sleep)", 12, 30, 4),
		"proc/9/task/9/status":     status("kworker/0:1+events State:\\tD", "I (idle)", 9, 1, 1),
		"proc/10/task/10/status":   status("kcompactd1", "D (disk sleep)", 10, 5, 0),
		"proc/11/task/11/status":   "", // it has just ended
		"proc/self/task/77/status": status("self", "D (disk sleep)", 77, 5, 0),
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
