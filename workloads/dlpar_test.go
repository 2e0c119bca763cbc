// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

func TestDLPAR(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	d := dlpar{tree: tree}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	idle := &counter{}
	if err := d.run(short, agent.Params{}, idle); err != nil || idle.done.Load()+idle.refused.Load() != 0 {
		t.Errorf("without the file: done %d, refused %d, %v", idle.done.Load(), idle.refused.Load(), err)
	}
	writeFile(t, tree, dlparFile, "")
	c, err := runFor(t, 3, agent.Params{}, d.run)
	if err != nil || c.done.Load() < 3 {
		t.Errorf("done %d, %v", c.done.Load(), err)
	}
	// Anything else would cost a guest its memory: see dlparRequest.
	if text, _ := tree.Text(dlparFile); text != "memory add count 1" {
		t.Errorf("wrote %q", text)
	}
}
