// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

var pgmapOptions = map[string]int64{"maps": 2, "max_sections": 1, "part": 85, "fresh": 60, "generic": 0}

// PgmapStorm maps and unmaps device memory.
var PgmapStorm = agent.Workloads.Register(&agent.Workload{
	Name: "pgmap-storm",
	Doc: "kthreads map and unmap struct pages for device memory (memremap_pages, zone Device) on all online nodes: mem_hotplug_lock " +
		"without device_hotplug_lock, zone spans, sparse sections filled in part; options maps (per kthread), max_sections (of a mapping), " +
		"part (percent that fill sections in part), fresh (percent that make zone Device grow), generic (percent with a linear mapping)",
	Modules: []string{"plugstorm_pgmap"},
	Options: pgmapOptions,
	Run:     moduleStorm{module: "plugstorm_pgmap", options: pgmapOptions}.run,
})
