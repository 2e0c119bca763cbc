// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"testing"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// TestHugetlbMappings: a host without huge pages refuses, and the pool is given back
// what it was set to.
func TestHugetlbMappings(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	h := hugetlbMappings{tree: tree}
	if _, err := h.pageBytes(); err == nil {
		t.Error("no meminfo is no error")
	}
	for text, want := range map[string]int{
		"MemTotal: 1 kB\nHugepagesize:      16384 kB\n": 16 << 20, "Hugepagesize: 2048 kB\n": 2 << 20, "MemTotal: 1 kB\n": 2 << 20, "Hugepagesize: 1048576 kB\n": 2 << 20,
	} {
		writeFile(t, tree, "proc/meminfo", text)
		if got, err := h.pageBytes(); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.run(ctx, agent.Params{}, &counter{}); err != nil {
		t.Errorf("a machine without huge pages: %v", err)
	}
	const overcommit = "sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages"
	writeFile(t, tree, overcommit, "before")
	writeFile(t, tree, "sys/devices/system/node/has_memory", "0\n")
	if _, err := runFor(t, 20, agent.Params{Options: map[string]int64{"hold_ms": 0}}, h.run); err != nil {
		t.Fatal(err)
	}
	if text, err := tree.Text(overcommit); err != nil || text[:6] != "before" {
		t.Errorf("%q, %v", text, err)
	}
}
