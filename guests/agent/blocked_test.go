// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

const stuckStatus = "Name:\tkworker/0:1\nUmask:\t0000\nState:\tD (disk sleep)\nTgid:\t9\nPid:\t10\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n"

func TestParseBlocked(t *testing.T) {
	want := agent.BlockedTask{TID: 10, Comm: "kworker/0:1", Switches: 42}
	if got, ok := parseBlocked(stuckStatus); !ok || got != want {
		t.Errorf("got %+v, %v", got, ok)
	}
	for name, text := range map[string]string{
		"sleeping":     "Name:\tx\nState:\tS (sleeping)\nPid:\t1\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t1\n",
		"idle":         "Name:\tx\nState:\tI (idle)\nPid:\t1\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t1\n",
		"no switches":  "Name:\tx\nState:\tD (disk sleep)\nPid:\t1\n",
		"bad switches": "Name:\tx\nState:\tD (disk sleep)\nPid:\t1\nvoluntary_ctxt_switches:\t-1\nnonvoluntary_ctxt_switches:\t1\n",
		"no task":      "Name:\tx\nState:\tD (disk sleep)\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t1\n",
		"nothing":      "",
	} {
		if got, ok := parseBlocked(text); ok {
			t.Errorf("%s: %+v is blocked", name, got)
		}
	}
}

func TestBlockedListsThreads(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	for task, text := range map[string]string{"9/task/9": "Name:\tx\nState:\tR (running)\nPid:\t9\n", "9/task/10": stuckStatus} {
		path := tree.Path("proc", task, "status")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	reply, err := (&guestAgent{tree: tree}).blocked()
	if err != nil {
		t.Fatal(err)
	}
	if tasks := reply.(agent.BlockedReply).Tasks; len(tasks) != 1 || tasks[0].TID != 10 {
		t.Errorf("blocked: %+v", tasks)
	}
}
