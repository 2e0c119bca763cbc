// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"time"

	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// Seed3 brings memory online and offline on every way there is, several at
// once, and lets some of them fail. Its claim: the four rules hold whoever
// calls, device_hotplug_lock around add_memory(), remove_memory(),
// device_online() and device_offline(), mem_hotplug_lock inside.
//
// New memory stays offline until somebody asks for it (as udev does where the
// distribution leaves it to udev), and then goes where it can leave again.
var Seed3 = schedule.Scenarios.Register(&schedule.Scenario{
	Name: "seed3",
	Doc: "the four rules of memory hotplug: state, online, probe, ACPI and DLPAR against each other and against one who brings a memory block online " +
		"the moment it appears, with errors on the way",
	Source:     `David Hildenbrand, 2018-08-17, "[PATCH RFC 0/2] mm: online/offline_pages called w.o. mem_hotplug_lock" (linux-mm)`,
	Length:     2 * time.Minute,
	Finale:     finale,
	KernelArgs: []string{"memhp_default_state=offline", "movable_node"},
	Variants:   poisonVariants,
	Workloads: []op.WorkloadStart{
		workload(workloads.BlockRacer, 0, 3),
		workload(workloads.DLPAR, 3, 1),
		workload(workloads.MemoryReaders, 8, 1), // of memmaps, too, that were never initialised
	},
	Lanes: []schedule.Lane{
		{
			Name: "dimm", DIMMs: 3, MaxUnits: 4,
			Mix: []schedule.Weight{{Kind: op.DIMMAdd, Weight: 2}, {Kind: op.DIMMRemove, Weight: 2}},
		},
		{
			Name: "block", DIMMs: 2, MaxUnits: 4, Gap: 20 * time.Millisecond,
			Mix: []schedule.Weight{
				{Kind: op.DIMMAdd, Weight: 2}, {Kind: op.DIMMRemove, Weight: 1},
				{Kind: op.BlockOffline, Weight: 4}, {Kind: op.BlockOnline, Weight: 4},
				{Kind: op.BlockNotifierError, Weight: 2}, {Kind: op.BlockInterrupted, Weight: 2},
			},
		},
		{
			Name: "fail", DIMMs: 1, MaxUnits: 4, Gap: 20 * time.Millisecond,
			Mix: []schedule.Weight{{Kind: op.DIMMAdd, Weight: 4}, {Kind: op.DIMMRemove, Weight: 1}, {Kind: op.BlockFailNth, Weight: 8}},
		},
		{
			Name: "probe", Gap: 500 * time.Millisecond,
			Mix: []schedule.Weight{{Kind: op.MemoryProbe, Weight: 1}},
		},
		{
			Name: "cpu", CPUs: 1, Gap: time.Second,
			Mix: []schedule.Weight{{Kind: op.CPUOffline, Weight: 1}, {Kind: op.CPUOnline, Weight: 1}},
		},
	},
})
