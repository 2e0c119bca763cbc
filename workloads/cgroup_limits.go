// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// CgroupLimits reclaims in memory cgroups that come and go.
var CgroupLimits = agent.Workloads.Register(&agent.Workload{
	Name: "cgroup-limits",
	Doc: "makes a memory cgroup, enters it, gives the kernel pages to take (MADV_FREE) and asks it to (memory.high, memory.reclaim), leaves, and removes the cgroup: " +
		"cgroup_mutex, percpu memory and per-node structures of memory cgroups, memcg reclaim on nodes that come and go",
	Touches: []string{
		"mm/memcontrol.c:memory_reclaim", "mm/memcontrol.c:memory_high_write", "mm/memcontrol.c:mem_cgroup_css_alloc",
		"mm/memcontrol.c:mem_cgroup_css_offline", "mm/vmscan.c:try_to_free_mem_cgroup_pages", "kernel/cgroup/cgroup.c:cgroup_attach_lock",
		"kernel/cgroup/cgroup.c:cgroup_mkdir", "kernel/cgroup/cgroup.c:cgroup_rmdir", "mm/list_lru.c", "mm/shrinker.c",
	},
	Run: func(ctx context.Context, p agent.Params, m agent.Meter) error {
		p.Threads = 1 // the process can only be in one place
		l := loop{params: p, meter: m, threads: 1, refuses: knobRefusals}
		return l.run(ctx, same(cgroupV2{tree: guest, name: "limits"}.around(reclaimHere)))
	},
})

// CgroupPartition cuts CPUs off into cpuset partitions.
var CgroupPartition = agent.Workloads.Register(&agent.Workload{
	Name: "cgroup-partition",
	Doc: "makes a cpuset, enters it and turns it into a partition and back (cpuset.cpus, cpuset.cpus.partition) while its CPUs come and go: " +
		"cgroup_mutex, cpu_hotplug_lock for reading, cpuset_mutex, and sched domains that are rebuilt from both sides",
	Touches: []string{
		"kernel/cgroup/cpuset.c:update_prstate", "kernel/cgroup/cpuset.c:cpuset_write_resmask", "kernel/cgroup/cpuset.c:rebuild_sched_domains_locked",
		"kernel/cgroup/cpuset.c:cpuset_attach", "kernel/cgroup/cgroup.c:cgroup_attach_lock", "kernel/cgroup/cgroup.c:cgroup_mkdir",
		"kernel/cgroup/cgroup.c:cgroup_rmdir", "kernel/cgroup/", "kernel/sched/topology.c", "kernel/workqueue.c:workqueue_unbound_exclude_cpumask",
	},
	Run: func(ctx context.Context, p agent.Params, m agent.Meter) error {
		p.Threads = 1
		l := loop{params: p, meter: m, threads: 1, refuses: knobRefusals}
		return l.run(ctx, same(cgroupV2{tree: guest, name: "partition"}.around(partitionHere)))
	},
})

// A cgroupV2 is a cgroup of the unified hierarchy, made for a round.
type cgroupV2 struct {
	tree sysfs.Tree
	name string
}

// around is a round that makes the cgroup, moves the process into it, does
// inside, and cleans up, also when ctx has ended.
func (c cgroupV2) around(inside func(ctx context.Context, dir string, rng *rand.Rand) error) round {
	return func(ctx context.Context, rng *rand.Rand) (err error) {
		root := c.tree.Path("sys/fs/cgroup")
		if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil {
			return errIdle // version 1, or no cgroups
		}
		dir := filepath.Join(root, fmt.Sprintf("plugstorm-%s-%d", c.name, os.Getpid()))
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		defer func() { err = errors.Join(err, c.leave(root, dir)) }()
		if err := c.enter(ctx, dir); err != nil {
			return err
		}
		return inside(ctx, dir, rng)
	}
}

func (c cgroupV2) enter(ctx context.Context, dir string) error {
	return sysfs.Write(ctx, filepath.Join(dir, "cgroup.procs"), strconv.Itoa(os.Getpid()))
}

func (c cgroupV2) leave(root, dir string) error {
	err := c.enter(context.Background(), root)
	if e := unix.Rmdir(dir); e != nil {
		err = errors.Join(err, &os.PathError{Op: "rmdir", Path: dir, Err: e})
	}
	return err
}

// limitBytes is what the process has in its cgroup for the kernel to take.
const limitBytes = 4 << 20

func reclaimHere(ctx context.Context, dir string, rng *rand.Rand) error {
	pages, err := unix.Mmap(-1, 0, limitBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	defer func() { _ = unix.Munmap(pages) }()
	touch(pages)
	if err := unix.Madvise(pages, unix.MADV_FREE); err != nil {
		return fmt.Errorf("MADV_FREE: %w", err)
	}
	if rng.IntN(2) == 0 {
		if err := setIfThere(ctx, filepath.Join(dir, "memory.high"), "1M"); err != nil {
			return err
		}
	}
	return setIfThere(ctx, filepath.Join(dir, "memory.reclaim"), "2M") // EAGAIN for less
}

func partitionHere(ctx context.Context, dir string, rng *rand.Rand) error {
	for range 3 {
		cpus := []string{"1", "1-2", "1-3", "2"}[rng.IntN(4)]
		kind := []string{"root", "isolated", "member"}[rng.IntN(3)]
		err := errors.Join(
			setIfThere(ctx, filepath.Join(dir, "cpuset.cpus"), cpus),
			setIfThere(ctx, filepath.Join(dir, "cpuset.cpus.partition"), kind))
		if err != nil {
			return err
		}
	}
	return setIfThere(ctx, filepath.Join(dir, "cpuset.cpus.partition"), "member")
}
