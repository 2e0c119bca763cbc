// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

// NodeSysfs reads what sysfs says of nodes.
var NodeSysfs = agent.Workloads.Register(&agent.Workload{
	Name: "node-sysfs",
	Doc: "reads the attributes of NUMA nodes and memory tiers, compacts nodes, and switches demotion: kn->active of nodes and tiers that come and go, memory_tier_lock, " +
		"the nodes' zones and vmstat counters",
	Touches: []string{
		"drivers/base/node.c:node_read_vmstat", "drivers/base/node.c:node_read_meminfo", "drivers/base/node.c:node_read_numastat",
		"drivers/base/node.c:node_read_distance", "drivers/base/node.c", "mm/compaction.c:compact_store", "mm/compaction.c:compact_node",
		"mm/memory-tiers.c:nodelist_show", "mm/memory-tiers.c:demotion_enabled_store", "mm/memory-tiers.c", "fs/kernfs/",
	},
	Run: knobs{tree: guest, list: nodeKnobs}.run,
})

var nodeKnobs = []knob{
	{"sys/devices/system/node/node*/vmstat", nil},
	{"sys/devices/system/node/node*/numastat", nil},
	{"sys/devices/system/node/node*/meminfo", nil},
	{"sys/devices/system/node/node*/distance", nil},
	{"sys/devices/system/node/node*/compact", []string{"1"}},
	{"sys/devices/system/node/has_normal_memory", nil},
	{"sys/devices/virtual/memory_tiering/memory_tier*/nodelist", nil},
	{"sys/kernel/mm/numa/demotion_enabled", []string{"true", "false"}},
}
