// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"time"

	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// Crowd lets everybody who uses the hotplug locks have a turn, a few at once
// and each for a short while: breadth, where the seeds' suites have depth. In
// most guests what is freed is poisoned, so that who uses it is seen.
var Crowd = schedule.Scenarios.Register(&schedule.Scenario{
	Name: "crowd",
	Doc: "every workload that uses the hotplug locks in quick turn, four at once, and readers of every attribute of what comes and goes, while a node is filled and " +
		"emptied, CPUs and vCPUs come and go, and some of it is interrupted or refused",
	Source: "what the blind plants of docs/detection.md got past: users that were too seldom there",
	Length: 2 * time.Minute,
	Finale: finale,
	Variants: [][]string{
		{poisonFreed}, {poisonFreed}, {poisonFreed, "memhp_default_state=online_kernel"},
		{"memhp_default_state=offline"}, {"memory_hotplug.memmap_on_memory=Y"},
	},
	Workloads: []op.WorkloadStart{
		workload(workloads.DeviceAttributes, 60, 2),
		workload(workloads.NodeSysfs, 60, 1),
		workload(workloads.AttributeStores, 10, 1),
		workload(workloads.KernelTables, 20, 1),
		// Or kcompactd has nothing to do. So much is a third of the DIMM's node, and too
		// little of the other one to be compacted there: that costs more than it gives.
		withOptions(workload(workloads.Fragmenter, 1, 1), map[string]int64{"most_mib": 50, "rest_ms": 4000}),
		// Their modules can be loaded once: they aren't drawn.
		withOptions(workload(workloads.SlabStorm, 10, 1), map[string]int64{"fresh": 1, "rest_ms": 8000}),
		workload(workloads.PercpuStorm, 10, 1),
		// On the nodes that stay: one that spans device memory is not unregistered
		// (mm/memory_hotplug.c try_offline_node).
		withOptions(workload(workloads.PgmapStorm, 10, 1), map[string]int64{"rooted": 100}),
	},
	Lanes: []schedule.Lane{
		{
			// A small one at a time: the node comes and goes with it, and all that a node has.
			// Always evicted: a removal that the guest refuses keeps the only DIMM for the
			// rest of the turn (op.DIMMEvict), and nobody can interrupt it.
			Name: "dimm", DIMMs: 1, MaxUnits: 1,
			Mix: []schedule.Weight{
				{Kind: op.DIMMAdd, Weight: 4}, {Kind: op.DIMMEvict, Weight: 8}, {Kind: op.BlockOffline, Weight: 1}, {Kind: op.BlockOnline, Weight: 1},
				{Kind: op.BlockInterrupted, Weight: 1}, {Kind: op.BlockNotifierError, Weight: 1},
				{Kind: op.BlockCallFailing, Weight: 1},
			},
		},
		cpuLane(300 * time.Millisecond),
		vcpuLane(2 * time.Second),
		workloadLane(400*time.Millisecond, 4, crowdUsers),
		{
			Name: "pause", Gap: 15 * time.Second,
			Mix: []schedule.Weight{{Kind: op.VMPause, Weight: 1}},
		},
	},
})
