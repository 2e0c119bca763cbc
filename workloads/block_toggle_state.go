// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

// BlockToggleState toggles memory blocks through their attribute "state".
var BlockToggleState = agent.Workloads.Register(&agent.Workload{
	Name: "block-toggle-state",
	Doc: "offlines and onlines random memory blocks of one node through memoryN/state: kn->active, " +
		"device_hotplug_lock, mem_hotplug_lock, pcp_batch_high_lock and the memory notifiers; " +
		"option node (default 1, negative for any)",
	Touches: []string{
		"drivers/base/memory.c:state_store", "drivers/base/memory.c:memory_subsys_online", "drivers/base/memory.c:memory_subsys_offline",
		"mm/memory_hotplug.c:online_pages", "mm/memory_hotplug.c:offline_pages", "mm/page_isolation.c", "mm/migrate.c",
	},
	Options: blockOptions,
	Run: blockToggle{
		tree: guest, attribute: "state", off: []string{"offline"},
		on: []string{"online_movable", "online_movable", "online"},
	}.run,
})
