// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

func TestCgroupForksMakesAndLeaves(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "sys/fs/cgroup/cgroup.controllers", "cpuset memory pids\n")
	writeFile(t, tree, "sys/fs/cgroup/cgroup.procs", "")
	c := &cgroupForks{tree: tree}
	if err := c.create(context.Background()); err != nil {
		t.Fatal(err)
	}
	if made := glob(tree.Path("sys/fs/cgroup/plugstorm-forks-*")); len(made) != 3 || c.full == "" {
		t.Errorf("made %q, %+v", made, c)
	}
	// Plain directories have no cgroup.procs.
	if err := c.homes.move(context.Background(), rand.New(rand.NewPCG(1, 1))); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a move to nowhere: %v", err)
	}
	c.homes.remove(c.full)
	if left := glob(tree.Path("sys/fs/cgroup/plugstorm-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if got, err := tree.Text("sys/fs/cgroup/cgroup.procs"); err != nil || got != strconv.Itoa(os.Getpid()) {
		t.Errorf("the process is left at %q, %v", got, err)
	}
}

// TestForkInto: a plain directory is no cgroup, and one that has gone is what
// kernels say of devices that have.
func TestForkInto(t *testing.T) {
	if err := forkInto(t.TempDir()); !errors.Is(err, unix.EBADF) {
		t.Errorf("got %v", err)
	}
	if err := forkInto(t.TempDir() + "/gone"); !errors.Is(err, unix.ENODEV) {
		t.Errorf("got %v", err)
	}
}

func TestChargerKeepsABoundedAmount(t *testing.T) {
	l := loop{params: agent.Params{Threads: 1}, threads: 1}
	c, err := runFor(t, 3*heldChunks, l.params, func(ctx context.Context, p agent.Params, m agent.Meter) error {
		l.meter = m
		return l.run(ctx, func(int) (round, error) { return charger(), nil })
	})
	if err != nil || c.done.Load() != 3*heldChunks {
		t.Errorf("done %d, %v", c.done.Load(), err)
	}
}

func TestCgroupForksWithoutCgroups(t *testing.T) {
	ctx, end := context.WithCancel(context.Background())
	end()
	if err := (&cgroupForks{tree: sysfs.Tree(t.TempDir())}).run(ctx, agent.Params{}, &counter{}); err != nil {
		t.Error(err)
	}
}
