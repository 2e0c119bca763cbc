// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"time"

	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// Seed4 makes and destroys caches while a node gets its first memory and loses
// its last. The claims: a cache that is created meanwhile must not miss the
// node, slab_mutex alone doesn't see to that; and a lock that kmem_cache_destroy
// holds over the removal of a cache's sysfs files is held against their readers.
var Seed4 = schedule.Scenarios.Register(&schedule.Scenario{
	Name: "seed4",
	Doc: "slab caches that are created, shrunk, destroyed and read through sysfs, on a node that gets its first kernel memory and loses its last all the time: " +
		"slab_mutex, cpu_hotplug_lock and mem_hotplug_lock against the memory notifiers and kn->active",
	Source: `Vladimir Davydov, 2014-04-06, "[PATCH -mm 0/3] slab: cleanup mem hotplug synchronization" (linux-mm)`,
	Length: 2 * time.Minute,
	// Only a kernel zone makes a node one of the slab allocator's.
	KernelArgs: []string{"memhp_default_state=online_kernel", "slab_nomerge"},
	Variants:   [][]string{nil, {poisonFreed}, {"memory_hotplug.memmap_on_memory=Y"}},
	Workloads: []op.WorkloadStart{
		withOptions(workload(workloads.SlabStorm, 0, 4), map[string]int64{"fresh": 1, "rest_ms": 8000, "max_caches": 8, "merge": 0}),
		withOptions(workload(workloads.SlabSysfs, 60, 2), map[string]int64{"ours": 1}),
		workload(workloads.SlabShrink, 20, 1),
		// A zone's first onlining allocates percpu memory: the longer that takes, the
		// more caches are made meanwhile.
		withOptions(workload(workloads.PercpuStorm, 40, 2), map[string]int64{"max_size": 32768}),
		workload(workloads.MemoryReaders, 5, 1),
	},
	Lanes: []schedule.Lane{
		{
			Name: "dimm", DIMMs: 1, MaxUnits: 1,
			Mix: []schedule.Weight{
				{Kind: op.DIMMAdd, Weight: 1}, {Kind: op.DIMMEvict, Weight: 6}, {Kind: op.BlockOffline, Weight: 2}, {Kind: op.BlockOnlineKernel, Weight: 3}, {Kind: op.BlockOnline, Weight: 1},
			},
		},
		cpuLane(800 * time.Millisecond),
		vcpuLane(5 * time.Second),
		workloadLane(4*time.Second, 1, lightLockUsers),
	},
})
