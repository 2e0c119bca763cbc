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
	for text, want := range map[string]int{"16777216\n": 16 << 20, "2097152": 2 << 20, "1": 2 << 20, "x": 2 << 20} {
		writeFile(t, tree, thpDir+"hpage_pmd_size", text)
		if got := hugePageBytes(tree); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
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
