// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

// BlockToggleOnline toggles memory blocks through their attribute "online".
var BlockToggleOnline = agent.Workloads.Register(&agent.Workload{
	Name: "block-toggle-online",
	Doc: "offlines and onlines random memory blocks of one node through memoryN/online, the attribute " +
		"that memory blocks share with CPUs (one lock class, dev_attr_online): device_hotplug_lock, mem_hotplug_lock; " +
		"option node (default 1, negative for any)",
	Touches: []string{
		"drivers/base/core.c:online_store", "drivers/base/memory.c:memory_subsys_online", "drivers/base/memory.c:memory_subsys_offline",
		"mm/memory_hotplug.c:online_pages", "mm/memory_hotplug.c:offline_pages", "mm/page_isolation.c", "mm/migrate.c",
	},
	Options: blockOptions,
	Run:     blockToggle{tree: guest, attribute: "online", off: []string{"0"}, on: []string{"1"}}.run,
})
