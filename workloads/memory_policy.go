// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

// MemoryPolicy changes how memory is brought online.
var MemoryPolicy = agent.Workloads.Register(&agent.Workload{
	Name: "memory-policy",
	Doc:  "changes the memory_hotplug parameters online_policy, auto_movable_ratio and auto_movable_numa_aware (which zone a block goes to when it is onlined without one), and reads auto_online_blocks",
	Touches: []string{
		"mm/memory_hotplug.c:zone_for_pfn_range", "mm/memory_hotplug.c:set_online_policy", "drivers/base/memory.c:auto_online_blocks_show",
		"kernel/params.c",
	},
	Run: knobs{tree: guest, list: []knob{
		{"sys/module/memory_hotplug/parameters/online_policy", []string{"contig-zones", "auto-movable"}},
		{"sys/module/memory_hotplug/parameters/auto_movable_ratio", []string{"0", "100", "301"}},
		{"sys/module/memory_hotplug/parameters/auto_movable_numa_aware", []string{"Y", "N"}},
		{"sys/devices/system/memory/auto_online_blocks", nil},
	}}.run,
})
