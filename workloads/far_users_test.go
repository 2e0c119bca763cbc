// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

func TestFarUsers(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "sys/devices/system/memory/block_size_bytes", "8000000\n")
	writeFile(t, tree, "sys/devices/system/memory/memory7/state", "online\n")
	files := map[string]string{softOffline: "", farKnobs[0].path: "3", farKnobs[2].path: "deflate"}
	for file, text := range files {
		writeFile(t, tree, file, text)
	}
	if c, err := runFor(t, 400, agent.Params{}, farUsers{tree: tree}.run); err != nil || c.refused.Load() != 0 {
		t.Errorf("refused %d, %v", c.refused.Load(), err)
	}
	// Block 7 of 128 MiB.
	if got, err := tree.Text(softOffline); err != nil || got < "0x38000000" || got >= "0x40000000" || len(got) != len("0x38000000") {
		t.Errorf("%q is offlined, %v", got, err)
	}
}

// TestFarUsersOfAnotherKernel: one that has none of them is no error, and no
// round is counted.
func TestFarUsersOfAnotherKernel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(3*idlePause, cancel)
	c := &counter{n: 1}
	if err := (farUsers{tree: sysfs.Tree(t.TempDir())}).run(ctx, agent.Params{}, c); err != nil || c.done.Load()+c.refused.Load() != 0 {
		t.Errorf("%d done, %d refused, %v", c.done.Load(), c.refused.Load(), err)
	}
}
