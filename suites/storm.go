// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// Storm does everything at once.
var Storm = schedule.Scenarios.Register(&schedule.Scenario{
	Name:   "storm",
	Doc:    "everything at once: DIMMs on two lanes, vCPUs, CPUs, pauses, and all workloads in turn",
	Source: "the five threads that plugstorm grew out of, see docs/architecture.md",
	Length: 2 * time.Minute,
	Meet:   50,
	Workloads: []op.WorkloadStart{
		workload(workloads.SlabStorm, 20, 2),
		workload(workloads.SlabSysfs, 20, 1),
		workload(workloads.MemoryReaders, 5, 1),
	},
	Lanes: []schedule.Lane{
		{
			Name: "dimm-a", DIMMs: 2, MaxUnits: 2,
			Mix: []schedule.Weight{{Kind: op.DIMMAdd, Weight: 2}, {Kind: op.DIMMRemove, Weight: 2}},
		},
		{
			Name: "dimm-b", DIMMs: 3, MaxUnits: 4, Gap: 100 * time.Millisecond,
			Mix: []schedule.Weight{{Kind: op.DIMMAdd, Weight: 2}, {Kind: op.DIMMRemove, Weight: 1}, {Kind: op.BlockOffline, Weight: 3}, {Kind: op.BlockOnline, Weight: 3}},
		},
		{
			Name: "cpu", CPUs: 1, Gap: 200 * time.Millisecond,
			Mix: []schedule.Weight{{Kind: op.CPUOffline, Weight: 1}, {Kind: op.CPUOnline, Weight: 1}},
		},
		{
			Name: "vcpu", VCPUs: 2, Gap: 4 * time.Second,
			Mix: []schedule.Weight{{Kind: op.VCPURemove, Weight: 1}, {Kind: op.VCPUAdd, Weight: 1}},
		},
		{
			Name: "workload", Gap: 2 * time.Second, Threads: 2, AtOnce: 2,
			Workloads: []*agent.Workload{
				workloads.PercpuStorm, workloads.MemoryHog, workloads.CgroupChurn, workloads.NetnsChurn,
				workloads.ModuleChurn, workloads.Reclaim,
			},
			Mix: []schedule.Weight{{Kind: op.WorkloadStartOp, Weight: 1}, {Kind: op.WorkloadStopOp, Weight: 1}},
		},
		{
			Name: "pause", Gap: 15 * time.Second,
			Mix: []schedule.Weight{{Kind: op.VMPause, Weight: 1}},
		},
	},
})
