// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"time"

	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// Errors lets memory hotplug fail wherever it can. One lane does it all, so that
// it is known whose allocations fail: a machine may not say that an add of
// somebody else's has failed.
var Errors = schedule.Scenarios.Register(&schedule.Scenario{
	Name: "errors",
	Doc: "hotplug that fails: allocations of the workers who add and remove DIMMs and add vCPUs, of the writer who sets a block, one after the other, " +
		"calls of named kernel functions on all these ways, memory notifiers that say no, signals, and steps of CPU hotplug; and then it must work as ever, for whoever uses its locks, too",
	Source:     "keep locks balanced on add_memory() failure (hv_balloon, 2015), and a class of bugs that only fault injection finds",
	Length:     2 * time.Minute,
	Finale:     finale,
	FreshVCPUs: 1, // that of the lane on which calls fail
	// In a kernel zone the slab allocator has error paths of its own. Nearly all are
	// poisoned: what an error path has freed, and left somewhere, shows in no other way.
	Variants: [][]string{
		nil, {poisonFreed}, {poisonFreed, "memhp_default_state=online_kernel"}, {poisonFreed, "memhp_default_state=offline"},
		{poisonFreed, "memory_hotplug.memmap_on_memory=Y"},
	},
	Workloads: []op.WorkloadStart{
		workload(workloads.BlockRacer, 0, 1),
		withOptions(workload(workloads.PgmapStorm, 10, 2), map[string]int64{"generic": 10}),
	},
	Lanes: []schedule.Lane{
		{
			Name: "memory", DIMMs: 4, MaxUnits: 3, VCPUs: 1,
			Mix: []schedule.Weight{
				{Kind: op.DIMMAdd, Weight: 1}, {Kind: op.DIMMRemove, Weight: 2},
				{Kind: op.DIMMAddFailing, Weight: 1}, {Kind: op.DIMMRemoveFailing, Weight: 1}, {Kind: op.DIMMAddNotifierError, Weight: 3},
				{Kind: op.BlockFailNth, Weight: 3}, {Kind: op.BlockNotifierError, Weight: 2}, {Kind: op.BlockInterrupted, Weight: 3},
				{Kind: op.VCPUAddFailing, Weight: 1}, {Kind: op.VCPURemove, Weight: 1}, {Kind: op.PgmapFailing, Weight: 2},
				{Kind: op.DIMMAddCallFailing, Weight: 8}, {Kind: op.DIMMRemoveCallFailing, Weight: 8}, {Kind: op.BlockCallFailing, Weight: 10},
			},
		},
		// Calls fail for those who are meant, so these need not be on that lane. But all
		// DIMMs are: whose add it is doesn't show in a call.
		{
			Name: "vcpu", VCPUs: 1, Gap: 200 * time.Millisecond,
			Mix: []schedule.Weight{{Kind: op.VCPUAddCallFailing, Weight: 1}, {Kind: op.VCPURemoveCallFailing, Weight: 1}},
		},
		{
			Name: "pgmap", Gap: 2 * time.Second,
			Mix: []schedule.Weight{{Kind: op.PgmapCallFailing, Weight: 1}},
		},
		{
			Name: "cpu", CPUs: 1, Gap: 200 * time.Millisecond,
			Mix: []schedule.Weight{
				{Kind: op.CPUOffline, Weight: 1}, {Kind: op.CPUOnline, Weight: 1}, {Kind: op.CPUFailing, Weight: 3}, {Kind: op.CPUCallFailing, Weight: 3},
			},
		},
		workloadLane(700*time.Millisecond, 2, afterErrors),
	},
})
