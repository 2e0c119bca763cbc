// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// CgroupForks forks into a cgroup that often has no room, under memory pressure of its own.
var CgroupForks = agent.Workloads.Register(&agent.Workload{
	Name: "cgroup-forks",
	Doc: "forks into another cgroup and cpuset (CLONE_INTO_CGROUP) whose pids.max lets the fork fail after cpuset_can_fork(), while threads charge their memory cgroup " +
		"above its memory.high and the whole process is moved from one such cpuset to another: cgroup_threadgroup_rwsem, cgroup_mutex, cpuset_mutex, " +
		"attach_in_progress of cpusets, which CPU hotplug waits for, charging and draining of memory cgroups; Threads counts the mover, the forker and those that charge (default 4)",
	Touches: []string{
		"kernel/fork.c:copy_process", "kernel/cgroup/cpuset.c:cpuset_can_fork", "kernel/cgroup/cpuset.c:cpuset_cancel_fork", "kernel/cgroup/cpuset.c:cpuset_fork",
		"kernel/cgroup/cpuset.c:cpuset_attach", "kernel/cgroup/cpuset.c:cpuset_write_resmask", "kernel/cgroup/pids.c:pids_can_fork", "kernel/cgroup/cgroup.c:cgroup_can_fork",
		"kernel/cgroup/cgroup.c:cgroup_cancel_fork", "kernel/cgroup/cgroup.c:cgroup_attach_lock", "kernel/cgroup/cgroup.c:cgroup_css_set_fork",
		"mm/memcontrol.c:try_charge_memcg", "mm/memcontrol.c:drain_all_stock", "mm/memcontrol.c:mem_cgroup_handle_over_high", "mm/vmscan.c:try_to_free_mem_cgroup_pages",
	},
	Run: func(ctx context.Context, p agent.Params, m agent.Meter) error {
		return (&cgroupForks{tree: guest}).run(ctx, p, m)
	},
})

// cgroupForks has two homes that the process is moved between, and one cgroup
// to fork into. The homes have no pids.max: a thread that Go can't make ends the
// process.
type cgroupForks struct {
	tree  sysfs.Tree
	homes cgroupHomes
	full  string
}

const (
	// forksHigh is memory.high of the homes: much less than what is charged.
	// It throttles, where memory.max would kill.
	forksHigh = "8M"
	// A thread that charges keeps heldChunks of chunkBytes, free for the kernel to take.
	heldChunks = 16
	chunkBytes = 1 << 20
	// noProgram is what the children are to execute: they fork, and end.
	noProgram = "/nonexistent"
)

func (c *cgroupForks) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	if !hasCgroupV2(c.tree) {
		<-ctx.Done() // version 1, or no cgroups
		return nil
	}
	err := c.create(ctx)
	defer func() { c.homes.remove(c.full) }()
	if err != nil {
		return err
	}
	l := loop{params: p, meter: m, threads: 4, refuses: knobRefusals}
	return l.run(ctx, func(worker int) (round, error) {
		switch worker {
		case 0:
			return c.homes.move, nil
		case 1:
			return c.fork, nil
		}
		return charger(), nil
	})
}

func (c *cgroupForks) create(ctx context.Context) (err error) {
	if c.homes, err = makeHomes(ctx, c.tree, "forks", "memory.high", forksHigh); err != nil {
		return err
	}
	c.full, err = c.homes.mkdir("forks-full")
	return err
}

// fork says how much room there is and forks into it. A fork that pids.max
// refuses has done what it is for.
func (c *cgroupForks) fork(ctx context.Context, rng *rand.Rand) error {
	if err := setIfThere(ctx, filepath.Join(c.full, "pids.max"), []string{"0", "0", "1", "max"}[rng.IntN(4)]); err != nil {
		return err
	}
	err := forkInto(c.full)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EAGAIN) {
		return nil
	}
	return err
}

// forkInto forks a child that is born in a cgroup and ends at once: ENOENT says
// that it has been there. It is waited for.
func forkInto(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cgroup to fork into: %w", unix.ENODEV)
	}
	defer f.Close()
	_, err = syscall.ForkExec(noProgram, []string{noProgram}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(f.Fd())},
	})
	return err
}

// charger is the round of a thread that has more and more memory charged, and
// tells the kernel that it may have it back: what is above the limit can be
// reclaimed, without swap and without anybody being killed.
func charger() round {
	var held [heldChunks][]byte
	next := 0
	return func(context.Context, *rand.Rand) error {
		if old := held[next]; old != nil {
			held[next] = nil
			if err := unix.Munmap(old); err != nil {
				return fmt.Errorf("munmap: %w", err)
			}
		}
		pages, err := unix.Mmap(-1, 0, chunkBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
		if err != nil {
			return fmt.Errorf("mmap: %w", err)
		}
		held[next] = pages
		next = (next + 1) % heldChunks
		touch(pages)
		if err := unix.Madvise(pages, unix.MADV_FREE); err != nil {
			return fmt.Errorf("MADV_FREE: %w", err)
		}
		return nil
	}
}
