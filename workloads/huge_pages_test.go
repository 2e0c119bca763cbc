// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"testing"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// TestHugePages: no round is refused, and the switches are given back what they
// were set to.
func TestHugePages(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	for _, k := range thpKnobs {
		writeFile(t, tree, k.path, "before")
	}
	c, err := runFor(t, 10, agent.Params{Options: map[string]int64{"hold_ms": 0}}, hugePages{tree: tree}.run)
	if err != nil || c.refused.Load() != 0 {
		t.Fatalf("refused %d, %v", c.refused.Load(), err)
	}
	for _, k := range thpKnobs {
		if text, err := tree.Text(k.path); err != nil || text[:6] != "before" {
			t.Errorf("%s: %q, %v", k.path, text, err)
		}
	}
}
