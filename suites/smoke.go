// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"time"

	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// Smoke touches everything once in a while, gently: does this kernel hotplug
// at all?
var Smoke = schedule.Scenarios.Register(&schedule.Scenario{
	Name:   "smoke",
	Doc:    "a short walk over all of hotplug: DIMMs, blocks, vCPUs, CPUs, and caches that come and go",
	Length: 30 * time.Second,
	Workloads: []op.WorkloadStart{
		workload(workloads.SlabStorm, 20, 2),
		workload(workloads.PercpuStorm, 20, 1),
		workload(workloads.ModuleChurn, 2, 1),
	},
	Lanes: []schedule.Lane{
		{
			Name: "dimm", DIMMs: 2, MaxUnits: 2, Gap: 200 * time.Millisecond,
			Mix: []schedule.Weight{{Kind: op.DIMMAdd, Weight: 3}, {Kind: op.DIMMRemove, Weight: 3}, {Kind: op.BlockOffline, Weight: 1}, {Kind: op.BlockOnline, Weight: 1}},
		},
		{
			Name: "cpu", CPUs: 1, Gap: 500 * time.Millisecond,
			Mix: []schedule.Weight{{Kind: op.CPUOffline, Weight: 1}, {Kind: op.CPUOnline, Weight: 1}},
		},
		{
			Name: "vcpu", VCPUs: 2, Gap: time.Second,
			Mix: []schedule.Weight{{Kind: op.VCPURemove, Weight: 1}, {Kind: op.VCPUAdd, Weight: 1}},
		},
	},
})
