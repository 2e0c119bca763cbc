// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// CgroupFull faults in memory cgroups that are full.
var CgroupFull = agent.Workloads.Register(&agent.Workload{
	Name: "cgroup-full",
	Doc: "faults in a memory cgroup that has no room for a huge page, which is then reclaimed for and drained for in vain, below mmap_lock, and made of small pages, without " +
		"anybody being killed (and has any memory be huge for that); meanwhile the whole process is moved from one such cgroup and cpuset to another with other nodes: charging and draining of memory cgroups, " +
		"cpuset_mutex, mmap_lock of who moves; Threads counts the mover and those that fault (default 4)",
	Touches: []string{
		"mm/memcontrol.c:try_charge_memcg", "mm/memcontrol.c:drain_all_stock", "mm/memcontrol.c:drain_local_stock", "mm/vmscan.c:try_to_free_mem_cgroup_pages",
		"mm/huge_memory.c:do_huge_pmd_anonymous_page", "mm/memory.c:do_anonymous_page", "mm/mempolicy.c:mpol_rebind_mm", "mm/mempolicy.c:do_migrate_pages",
		"kernel/cgroup/cpuset.c:cpuset_attach", "kernel/cgroup/cpuset.c:cpuset_write_resmask", "kernel/cgroup/cgroup.c:cgroup_attach_lock",
	},
	Run: cgroupFull{tree: guest}.run,
})

// fullKnobs have any memory be huge, and a charge for that give up at its first
// failure (mm/huge_memory.c vma_thp_gfp_mask): where huge pages were asked for it tries
// sixteen times more.
var fullKnobs = []knob{{thpDir + "enabled", []string{"always"}}, {thpDir + "defrag", []string{"always"}}}

type cgroupFull struct{ tree sysfs.Tree }

func (c cgroupFull) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	if !hasCgroupV2(c.tree) {
		<-ctx.Done() // version 1, or no cgroups
		return nil
	}
	huge := hugePageBytes(c.tree)
	// Some of it is always used, so a huge page never fits. What fails for so large an
	// allocation kills nobody (mm/memcontrol.c mem_cgroup_oom).
	turned := knobs{tree: c.tree, list: fullKnobs}
	before := turned.save()
	defer turned.restore(before)
	for _, knob := range fullKnobs {
		if err := setIfThere(ctx, c.tree.Path(knob.path), knob.values[0]); err != nil && ctx.Err() == nil {
			return err
		}
	}
	homes, err := makeHomes(ctx, c.tree, "full", "memory.max", strconv.Itoa(huge))
	defer homes.remove()
	if err != nil {
		return err
	}
	l := loop{params: p, meter: m, threads: 4, refuses: knobRefusals}
	return l.run(ctx, func(worker int) (round, error) {
		if worker == 0 {
			return homes.move, nil
		}
		return func(context.Context, *rand.Rand) error { return faultHuge(huge) }, nil
	})
}

// faultHuge maps memory with room for an aligned huge page of a size, touches it where a
// huge page would be and at one page more, and gives it back.
func faultHuge(size int) error {
	memory, err := unix.Mmap(-1, 0, 2*size+os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	defer func() { _ = unix.Munmap(memory) }()
	memory[size]++ // a mapping begins at most a huge page before the next aligned one
	memory[2*size]++
	return nil
}
