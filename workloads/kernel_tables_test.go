// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"os"
	"path"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// TestKernelTables: what must not be read isn't, nor what is in a directory of that
// name, and what nobody writes into doesn't hold it up.
func TestKernelTables(t *testing.T) {
	k := kernelTables{tree: sysfs.Tree(t.TempDir())}
	for _, file := range []string{"proc/kmsg", "proc/kpageflags", "proc/slabinfo", "proc/self/mem", "proc/self/numa_maps", "sys/kernel/debug/tracing/trace_pipe", "sys/kernel/debug/extfrag/unusable_index"} {
		writeFile(t, k.tree, file, "x")
	}
	writeFile(t, k.tree, "proc/sysrq-trigger", "")
	if err := os.Chmod(k.tree.Path("proc/sysrq-trigger"), 0o200); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(k.tree.Path("proc/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, pattern := range tablePatterns {
		for _, file := range k.tables(pattern) {
			found = append(found, path.Base(file))
		}
	}
	slices.Sort(found)
	if want := []string{"numa_maps", "slabinfo", "unusable_index", "unusable_index"}; !slices.Equal(found, want) {
		t.Errorf("%q, want %q", found, want)
	}
	c, err := runFor(t, 20, agent.Params{}, k.run)
	if err != nil || c.refused.Load() != 0 {
		t.Errorf("refused %d, %v", c.refused.Load(), err)
	}
}

// TestReadTable: what is longer than the buffer is read in part, and the error names
// the file.
func TestReadTable(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "long", "0123456789")
	if err := readTable(tree.Path("long"), make([]byte, 4)); err != nil {
		t.Error(err)
	}
	if err := readTable(tree.Path("none"), make([]byte, 4)); err == nil || !isOneOf(err, []unix.Errno{unix.ENOENT}) {
		t.Error(err)
	}
	for _, s := range unreadTables {
		if _, err := path.Match(s.name, "x"); err != nil || s.why == "" {
			t.Errorf("%+v, %v", s, err)
		}
	}
}
