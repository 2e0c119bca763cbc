// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

const pressureModule = "plugstorm_pressure"

var pressureOptions = map[string]int64{"node": 0, "hold_ms": 300, "rest_ms": 700, "swing_mib": 64}

// MemoryPressure makes every sleeping allocation reclaim for itself.
var MemoryPressure = agent.Workloads.Register(&agent.Workload{
	Name: "memory-pressure",
	Doc: "a kernel balloon fills a node's kernel zones down to the min watermark and gives pages back to direct reclaim only: under whatever lock " +
		"somebody allocates, fs_reclaim, the shrinkers and drain_all_pages (pcpu_drain_mutex) come next; unlike memory-hog it needs no OOM killer; " +
		"options node, hold_ms (how long memory is full), rest_ms (how long it isn't), swing_mib (what is free then)",
	Touches: []string{
		"mm/vmscan.c:try_to_free_pages", "mm/page_alloc.c:__alloc_pages_slowpath", "mm/page_alloc.c:drain_all_pages", "mm/shrinker.c", "mm/vmscan.c:kswapd",
		"mm/oom_kill.c",
	},
	Modules: []string{pressureModule},
	Options: pressureOptions,
	Run:     moduleStorm{module: pressureModule, options: pressureOptions}.run,
})
