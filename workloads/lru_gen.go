// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

// LRUGen switches the multi-generational LRU on and off.
var LRUGen = agent.Workloads.Register(&agent.Workload{
	Name:    "lru-gen",
	Doc:     "switches the multi-generational LRU on and off (lru_gen/enabled): cgroup_mutex, then cpu_hotplug_lock, then mem_hotplug_lock for reading, with a walk over all memory cgroups and nodes below",
	Touches: []string{"mm/vmscan.c:lru_gen_change_state", "mm/vmscan.c:enabled_store"},
	Run:     knobs{tree: guest, list: lruGenKnobs}.run,
})

// min_ttl_ms stays as it is: its store takes no lock, and with it the kswapd of a node
// that has just lost its memory finds nothing old enough there and calls the OOM killer,
// however much is free elsewhere (mm/vmscan.c lru_gen_age_node;
// docs/found/lru-gen-oom-emptied-node.md).
var lruGenKnobs = []knob{
	{"sys/kernel/mm/lru_gen/enabled", []string{"0", "1", "7"}},
	{"sys/kernel/mm/lru_gen/min_ttl_ms", nil},
}
