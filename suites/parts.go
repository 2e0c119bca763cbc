// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// poisonFreed fills freed objects of these caches, and looks at them when they
// are used again. It is slab_debug since 6.9, which takes the old name as well
// (mm/slub.c).
const poisonFreed = "slub_debug=FZP,kmalloc-*,kmem_cache_node"

// memoryVariants are the ways in which a kernel can take new memory. The machines'
// own is online_movable.
var memoryVariants = [][]string{
	nil, {poisonFreed},
	{"memhp_default_state=online_kernel"},
	{"memhp_default_state=offline", poisonFreed},
	{"memory_hotplug.memmap_on_memory=Y"},
}

// poisonVariants are for suites that say themselves how new memory is taken.
var poisonVariants = [][]string{nil, {poisonFreed}}

// lockUsers are workloads that use the hotplug locks for their own ends.
var lockUsers = []*agent.Workload{
	workloads.CgroupChurn, workloads.CgroupLimits, workloads.CgroupPartition, workloads.LRUGen, workloads.CPURollback, workloads.CPUPartial,
	workloads.NetnsChurn, workloads.ModuleChurn, workloads.StaticKeys, workloads.WorkqueueAttrs, workloads.VMSysctls, workloads.NodeSysfs,
	workloads.NodeMigrate, workloads.HugetlbPool, workloads.KSMRun, workloads.PageTables, workloads.MemoryPolicy, workloads.MemoryReaders,
	workloads.Reclaim, workloads.FarUsers, workloads.Fragmenter, workloads.AttributeStores, workloads.CgroupForks, workloads.CgroupFull,
	workloads.HugePages, workloads.HugetlbMappings, workloads.TaskMempolicy, workloads.TaskAffinity, workloads.PerfEvents, workloads.CgroupThreads,
	workloads.KernelTables, workloads.TraceBuffers,
}

// lightLockUsers are those that neither fill memory nor keep any on a node.
var lightLockUsers = []*agent.Workload{
	workloads.LRUGen, workloads.CPURollback, workloads.CPUPartial, workloads.NetnsChurn, workloads.ModuleChurn, workloads.StaticKeys,
	workloads.WorkqueueAttrs, workloads.NodeSysfs, workloads.KSMRun, workloads.PageTables, workloads.TaskAffinity, workloads.PerfEvents,
	workloads.KernelTables, workloads.TraceBuffers,
}

// crowdUsers are all that may run several times at once: none that is the only
// one to load its module.
var crowdUsers = append([]*agent.Workload{workloads.MemoryHog, workloads.SlabSysfs}, lockUsers...)

// afterErrors are those who would notice what a failed hotplug has left behind.
var afterErrors = []*agent.Workload{workloads.CPURollback, workloads.KSMRun, workloads.NodeSysfs, workloads.SlabSysfs, workloads.LRUGen, workloads.VMSysctls, workloads.DeviceAttributes}

// workloadLane starts and stops workloads of a list, n of them at once at most.
func workloadLane(gap time.Duration, n int, from []*agent.Workload) schedule.Lane {
	return schedule.Lane{
		Name: "workload", Gap: gap, Threads: 1, AtOnce: n, Workloads: from,
		Mix: []schedule.Weight{{Kind: op.WorkloadStartOp, Weight: 2}, {Kind: op.WorkloadStopOp, Weight: 1}},
	}
}

// vcpuLane takes vCPUs away and gives them back, gap apart. QEMU bears only so
// many re-adds a guest (guests, Defects).
func vcpuLane(gap time.Duration) schedule.Lane {
	return schedule.Lane{
		Name: "vcpu", VCPUs: 2, Gap: gap,
		Mix: []schedule.Weight{{Kind: op.VCPURemove, Weight: 1}, {Kind: op.VCPUAdd, Weight: 1}},
	}
}

// cpuLane takes a CPU offline and online, gap apart.
func cpuLane(gap time.Duration) schedule.Lane {
	return schedule.Lane{
		Name: "cpu", CPUs: 1, Gap: gap,
		Mix: []schedule.Weight{{Kind: op.CPUOffline, Weight: 1}, {Kind: op.CPUOnline, Weight: 1}},
	}
}
