// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"slices"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// Aftermath uses, a thread each, what a failed hotplug may have left unusable.
var Aftermath = agent.Workloads.Register(&agent.Workload{
	Name: "aftermath",
	Doc: "one thread each turns ksm's knobs, lru_gen, sysctls that walk all zones, nodes' attributes, reads what needs slab_mutex and the attributes of memory blocks and CPUs, " +
		"and attaches itself to a cgroup: who would wait for ever if an error path of hotplug left a lock held or a flag set; none of them changes what is plugged or online",
	Touches: []string{
		"mm/ksm.c:run_store", "mm/ksm.c", "mm/vmscan.c:lru_gen_change_state", "mm/page_alloc.c:setup_per_zone_wmarks", "mm/vmstat.c:vmstat_refresh",
		"mm/compaction.c:compact_store", "drivers/base/node.c", "mm/slab_common.c:slab_start", "drivers/base/memory.c:valid_zones_show", "kernel/cpu.c:state_show",
		"kernel/cgroup/cgroup.c:cgroup_attach_task", "fs/kernfs/",
	},
	Run: func(ctx context.Context, p agent.Params, m agent.Meter) error {
		if err := equalPages(); err != nil {
			return err
		}
		return aftermath{tree: guest, lists: aftermathLists}.run(ctx, p, m)
	},
})

// aftermathLists are the knobs of one thread each: one that waits keeps none of
// the others from it.
var aftermathLists = [][]knob{
	ksmKnobs, lruGenKnobs, vmKnobs, nodeKnobs,
	{
		{"proc/slabinfo", nil}, // slab_mutex (mm/slab_common.c slab_start)
		{"sys/kernel/slab/*/shrink", []string{"1"}},
		{"sys/devices/system/memory/memory*/valid_zones", nil},
		{"sys/devices/system/memory/memory*/state", nil},
		{"sys/devices/system/cpu/cpu*/online", nil},
		{"sys/devices/system/cpu/cpu*/hotplug/state", nil},
	},
}

type aftermath struct {
	tree  sysfs.Tree
	lists [][]knob
}

// run has a thread for each list, and one for the cgroup. Params.Threads is
// ignored.
func (a aftermath) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	every := knobs{tree: a.tree, list: slices.Concat(a.lists...)}
	before := every.save()
	defer every.restore(before)
	p.Threads = 0
	l := loop{params: p, meter: m, threads: len(a.lists) + 1, refuses: knobRefusals}
	return l.run(ctx, func(worker int) (round, error) {
		if worker == len(a.lists) {
			return cgroupV2{tree: a.tree, name: "aftermath"}.around(reclaimHere), nil
		}
		return knobs{tree: a.tree, list: a.lists[worker]}.turn, nil
	})
}
