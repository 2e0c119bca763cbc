// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// TestCgroupThreads: in a tree of plain files the process and its threads are written
// where they are to go, and nothing is left behind.
func TestCgroupThreads(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	root := tree.Path("sys/fs/cgroup")
	home := filepath.Join(root, "home")
	writeFile(t, tree, "sys/fs/cgroup/cgroup.procs", "")
	if err := makeHome(t.Context(), home); !isOneOf(err, []unix.Errno{unix.ENOENT}) {
		t.Errorf("plain directories have no cgroup.procs: %v", err)
	}
	for _, file := range []string{"cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "a/cgroup.type", "a/cgroup.threads", "b/cgroup.type", "b/cgroup.threads"} {
		writeFile(t, tree, filepath.Join("sys/fs/cgroup/home", file), "")
	}
	if err := makeHome(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		if err := moveThread(t.Context(), rng, home); err != nil {
			t.Fatal(err)
		}
		if err := switchControllers(t.Context(), rng, home); err != nil {
			t.Fatal(err)
		}
	}
	text := func(file string) string {
		b, err := os.ReadFile(filepath.Join(home, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if pid := strconv.Itoa(os.Getpid()); text("cgroup.procs") != pid || text("a/cgroup.type") != "threaded" || text("b/cgroup.type") != "threaded" {
		t.Error("the process isn't where it belongs, or its threads can't be")
	}
	for _, file := range []string{"cgroup.threads", "a/cgroup.threads", "b/cgroup.threads"} {
		if _, err := strconv.Atoi(text(file)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if !slices.Contains(strings.Split("+cpuset,-cpuset,+cpu,-cpu,+pids,-pids,+cpuset +cpu,-cpuset -cpu", ","), text("cgroup.subtree_control")) {
		t.Errorf("%q is switched", text("cgroup.subtree_control"))
	}
}

// TestCgroupThreadsElsewhere: what is no cgroup now is tried again, and nothing is left behind.
func TestCgroupThreadsElsewhere(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "sys/fs/cgroup/cgroup.controllers", "cpuset\n")
	c, err := runFor(t, 3, agent.Params{}, cgroupThreads{tree: tree}.run)
	if err != nil || c.done.Load() != 0 || c.refused.Load() < 3 {
		t.Errorf("%d done, %d refused, %v", c.done.Load(), c.refused.Load(), err)
	}
	if left := glob(tree.Path("sys/fs/cgroup/plugstorm-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}
