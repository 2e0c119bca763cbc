// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

var slabOptions = map[string]int64{"max_caches": 8, "objects": 256, "merge": 50, "fresh": -1, "rest_ms": 1500}

// SlabStorm creates, fills, shrinks and destroys slab caches.
var SlabStorm = agent.Workloads.Register(&agent.Workload{
	Name: "slab-storm",
	Doc: "kthreads create, fill, drain, shrink and destroy slab caches of many sizes, with and without constructor " +
		"and merging, on all online nodes: slab_mutex, flush_lock, cpu_hotplug_lock, the caches' sysfs directories; " +
		"options max_caches and objects (per kthread and cache), merge (percent of caches that may become aliases), " +
		"fresh (a node that comes and goes: caches are made until it has kernel memory, used on it and destroyed, so that it can go again; -1 for none), " +
		"rest_ms (how long at most the fresh node is left alone then)",
	Touches: []string{
		"mm/slab_common.c:__kmem_cache_create_args", "mm/slab_common.c:kmem_cache_destroy", "mm/slab_common.c:kmem_cache_shrink", "mm/slab_common.c",
		"mm/slub.c:do_kmem_cache_create", "mm/slub.c:__kmem_cache_shutdown", "mm/slub.c:sysfs_slab_add", "mm/slub.c:sysfs_slab_unlink",
		"mm/slub.c:init_kmem_cache_nodes", "mm/slub.c:flush_all_cpus_locked", "mm/slub.c",
	},
	Modules: []string{"plugstorm_slab"},
	Options: slabOptions,
	Run:     moduleStorm{module: "plugstorm_slab", options: slabOptions}.run,
})
