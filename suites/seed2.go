// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// Seed2 maps device memory while memory blocks come, go, and fill and empty a
// node. Its claim: what init_currently_empty_zone() and the resizing of spans
// write is protected by mem_hotplug_lock alone, so no caller of
// move_pfn_range_to_zone() may do without it.
var Seed2 = schedule.Scenarios.Register(&schedule.Scenario{
	Name: "seed2",
	Doc: "zone spans are written under mem_hotplug_lock alone: device memory is mapped and unmapped by several threads while memory blocks of " +
		"the same node come and go, and node 1 gets its first and loses its last memory",
	Source:   `Oscar Salvador, 2018-09-28, "Re: [PATCH v5 4/4] mm: Defer ZONE_DEVICE page initialization to the point where we init pgmap" (linux-mm)`,
	Length:   2 * time.Minute,
	Variants: poisonVariants,
	Workloads: []op.WorkloadStart{
		workload(workloads.PgmapStorm, 50, 3),
		workload(workloads.BlockToggleState, 5, 1),
	},
	Lanes: []schedule.Lane{
		{
			Name: "empty", DIMMs: 2, MaxUnits: 2, // in and out: now and then the node has none
			Mix: []schedule.Weight{{Kind: op.DIMMAdd, Weight: 1}, {Kind: op.DIMMRemove, Weight: 2}},
		},
		{
			Name: "block", DIMMs: 2, MaxUnits: 4, Gap: 20 * time.Millisecond,
			Mix: []schedule.Weight{
				{Kind: op.DIMMAdd, Weight: 2}, {Kind: op.DIMMRemove, Weight: 1},
				{Kind: op.BlockOffline, Weight: 4}, {Kind: op.BlockOnline, Weight: 4},
			},
		},
		{
			Name: "more", Gap: 3 * time.Second, Threads: 2,
			Workloads: []*agent.Workload{workloads.PercpuStorm, workloads.SlabStorm, workloads.NetnsChurn},
			Mix:       []schedule.Weight{{Kind: op.WorkloadStartOp, Weight: 1}, {Kind: op.WorkloadStopOp, Weight: 1}},
		},
	},
})
