// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

var pgmapOptions = map[string]int64{"maps": 2, "max_sections": 1, "part": 85, "fresh": 60, "generic": 0, "rooted": 0}

// PgmapStorm maps and unmaps device memory.
var PgmapStorm = agent.Workloads.Register(&agent.Workload{
	Name: "pgmap-storm",
	Doc: "kthreads map and unmap struct pages for device memory (memremap_pages, zone Device) on all online nodes: mem_hotplug_lock " +
		"without device_hotplug_lock, zone spans, sparse sections filled in part; options maps (per kthread), max_sections (of a mapping), " +
		"part (percent that fill sections in part), fresh (percent that make zone Device grow), generic (percent with a linear mapping), rooted (percent on nodes that have CPUs: others they keep from going)",
	Touches: []string{
		"mm/memremap.c:memremap_pages", "mm/memremap.c:memunmap_pages", "mm/memremap.c:pagemap_range", "mm/memremap.c",
		"mm/memory_hotplug.c:move_pfn_range_to_zone", "mm/memory_hotplug.c:remove_pfn_range_from_zone", "mm/memory_hotplug.c:__add_pages",
		"mm/mm_init.c:memmap_init_zone_device", "mm/sparse.c:sparse_add_section", "mm/sparse.c:sparse_remove_section", "mm/sparse-vmemmap.c",
		"arch/x86/mm/init_64.c",
	},
	Modules: []string{"plugstorm_pgmap"},
	Options: pgmapOptions,
	Run:     moduleStorm{module: "plugstorm_pgmap", options: pgmapOptions}.run,
})
