// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// TestCgroupFullLimits: both homes have room for less than one huge page more, and
// nothing is left of them.
func TestCgroupFullLimits(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "sys/fs/cgroup/cgroup.controllers", "cpuset memory\n")
	writeFile(t, tree, "sys/fs/cgroup/cgroup.procs", "")
	writeFile(t, tree, thpDir+"enabled", "always [madvise] never\n")
	ctx, end := context.WithCancel(context.Background())
	end()
	if err := (cgroupFull{tree: tree}).run(ctx, agent.Params{}, &counter{}); err != nil {
		t.Error(err)
	}
	if got, err := tree.Text(thpDir + "enabled"); err != nil || !strings.HasPrefix(got, "madvise[") { // nothing is cut off such a file
		t.Errorf("it leaves huge pages %q, %v", got, err)
	}
	if left := glob(tree.Path("sys/fs/cgroup/plugstorm-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	homes, err := makeHomes(context.Background(), tree, "full", "memory.max", strconv.Itoa(2<<20))
	if err != nil || len(glob(tree.Path("sys/fs/cgroup/plugstorm-full-*"))) != 2 || homes.dirs[0] == homes.dirs[1] {
		t.Errorf("made %+v, %v", homes, err)
	}
	homes.remove()
	if err := (cgroupFull{tree: sysfs.Tree(t.TempDir())}).run(ctx, agent.Params{}, &counter{}); err != nil {
		t.Errorf("without cgroups: %v", err)
	}
}

func TestFaultHuge(t *testing.T) {
	for _, size := range []int{2 << 20, 16 << 20} {
		if err := faultHuge(size); err != nil {
			t.Error(err)
		}
	}
}
