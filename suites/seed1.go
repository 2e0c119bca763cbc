// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"time"

	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// Seed1 asks what an allocation that has to reclaim may hold. The claim: nobody
// below the page allocator may take a hotplug lock, because somebody above it
// has one: direct reclaim ends in drain_all_pages(), under pcpu_alloc_mutex, in
// a CPU's way up, and inside mem_hotplug_begin().
var Seed1 = schedule.Scenarios.Register(&schedule.Scenario{
	Name: "seed1",
	Doc: "true memory pressure against percpu memory, CPUs and DIMMs: what is taken below an allocation that must reclaim " +
		"(drain_all_pages, pcpu_drain_mutex) was held above it (pcpu_alloc_mutex, cpu_hotplug_lock, mem_hotplug_lock)",
	Source: `Thomas Gleixner, 2017-02-08, "Re: mm: deadlock between get_online_cpus/pcpu_alloc" (linux-mm)`,
	Length: 2 * time.Minute,
	Workloads: []op.WorkloadStart{
		withOptions(workload(workloads.MemoryPressure, 0, 1), map[string]int64{"hold_ms": 400, "rest_ms": 600}),
		withOptions(workload(workloads.PercpuStorm, 50, 3), map[string]int64{"areas": 256, "max_size": 32768}),
		workload(workloads.SlabStorm, 10, 1),
	},
	Lanes: []schedule.Lane{
		{
			Name: "dimm", DIMMs: 2, MaxUnits: 1, Gap: 50 * time.Millisecond,
			Mix: []schedule.Weight{{Kind: op.DIMMAdd, Weight: 3}, {Kind: op.DIMMRemove, Weight: 3}, {Kind: op.BlockOffline, Weight: 1}, {Kind: op.BlockOnline, Weight: 1}},
		},
		cpuLane(200 * time.Millisecond),
		vcpuLane(4 * time.Second),
		workloadLane(3*time.Second, 1, lockUsers),
	},
})
