// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"time"

	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// Seed0 asks what below mem_hotplug_begin() needs the CPU hotplug lock that it
// takes. The claim: although build_all_zonelists() no longer stops the machine,
// memory hotplug can't do without: resizing pseries' hash page table stops it
// (stop_machine_cpuslocked), and so do walks over online CPUs count on it.
var Seed0 = schedule.Scenarios.Register(&schedule.Scenario{
	Name: "seed0",
	Doc: "memory that comes, goes, and changes its zone, with CPUs that come and go: what below mem_hotplug_begin() needs cpu_hotplug_lock " +
		"(HPT resizing, slab flushes, pcplist drains, zonelists), and who takes it twice",
	Source:   `David Hildenbrand, 2019-10-04, "Re: [PATCH v1] mm/memory_hotplug: Don't take the cpu_hotplug_lock" (linux-mm), after Qian Cai`,
	Length:   2 * time.Minute,
	Finale:   finale,
	Variants: memoryVariants,
	Workloads: []op.WorkloadStart{
		withOptions(workload(workloads.SlabStorm, 10, 1), map[string]int64{"fresh": 1, "rest_ms": 8000}),
		// What removed memory cgroups still have on a node goes with the caches that
		// are charged to them.
		workload(workloads.SlabShrink, 5, 1),
		withOptions(workload(workloads.Reclaim, 1, 1), map[string]int64{"compact": 0}),
		workload(workloads.PercpuStorm, 10, 1),
	},
	Lanes: []schedule.Lane{
		{
			// One DIMM, so that its node is empty now and then: zones and zonelists
			// are built on the first block and torn down with the last.
			Name: "dimm", DIMMs: 1, MaxUnits: 2,
			Mix: []schedule.Weight{
				{Kind: op.DIMMAdd, Weight: 3}, {Kind: op.DIMMRemove, Weight: 1}, {Kind: op.DIMMEvict, Weight: 2}, {Kind: op.BlockOffline, Weight: 2},
				{Kind: op.BlockOnline, Weight: 1}, {Kind: op.BlockOnlineKernel, Weight: 1},
			},
		},
		cpuLane(100 * time.Millisecond),
		vcpuLane(3 * time.Second),
		workloadLane(2*time.Second, 2, lockUsers),
	},
})
