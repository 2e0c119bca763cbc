// SPDX-License-Identifier: Apache-2.0

package books

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// NodeDevices holds the devices of nodes and the masks of nodes against which
// ones are online.
var NodeDevices = Invariants.Register(&Invariant{
	Name:   "node-devices",
	Title:  "what there is of nodes doesn't fit the nodes that are online",
	Doc:    "exactly the nodes that are online have a device, and only they have memory or CPUs",
	Source: "mm/memory_hotplug.c add_memory_resource, __try_online_node, try_offline_node; drivers/base/node.c __register_one_node",
	check: func(p *picture, say complain) {
		online, ok := p.list("node/online")
		if !ok {
			return
		}
		devices := numbers(p.nodeDir)
		if lost := missing(online, devices); len(lost) > 0 {
			say("no device", "", "nodes %v are online and have no device", lost)
		}
		if left := missing(devices, online); len(left) > 0 {
			say("device left", "", "nodes %v have a device and are not online", left)
		}
		for _, mask := range []string{"has_memory", "has_normal_memory", "has_cpu"} {
			all, _ := p.list("node/" + mask)
			if left := missing(all, online); len(left) > 0 {
				say(mask, "", "nodes %v are in %s and not online", left, mask)
			}
		}
	},
})

// NodeMemory holds the masks of nodes with memory against their zones.
var NodeMemory = Invariants.Register(&Invariant{
	Name:   "node-memory",
	Title:  "a mask of nodes with memory doesn't fit their zones",
	Doc:    "has_memory has the nodes in whose zones pages are present, has_normal_memory those with some below zone Movable",
	Source: "mm/memory_hotplug.c node_states_check_changes_online, node_states_check_changes_offline",
	check: func(p *picture, say complain) {
		for mask, pages := range map[string]func(nodeMemory) uint64{
			"has_memory":        func(n nodeMemory) uint64 { return n.present },
			"has_normal_memory": func(n nodeMemory) uint64 { return n.normal },
		} {
			all, ok := p.list("node/" + mask)
			if !ok {
				continue
			}
			for node, n := range p.nodes {
				if in := slices.Contains(all, node); in != (pages(n) > 0) {
					say(mask, strconv.Itoa(node), "%s is %v; the zones of node %d have %d pages present", mask, all, node, pages(n))
				}
			}
		}
	},
})

// NodeCPUs holds the nodes' CPUs against those that are online.
var NodeCPUs = Invariants.Register(&Invariant{
	Name:   "node-cpus",
	Title:  "the CPUs of the nodes are not the CPUs that are online",
	Doc:    "each CPU that is online is in the cpulist of exactly one node, and that node is in has_cpu",
	Source: "drivers/base/node.c cpulist_read; arch/x86/mm/numa.c numa_add_cpu; arch/powerpc/mm/numa.c map_cpu_to_node; mm/vmstat.c vmstat_cpu_online",
	check: func(p *picture, say complain) {
		online, ok := p.list("cpu/online")
		hasCPU, masked := p.list("node/has_cpu")
		var all []int
		for _, node := range numbers(p.nodeDir) {
			cpus, known := p.list("node/node" + strconv.Itoa(node) + "/cpulist")
			ok = ok && known
			if masked && len(cpus) > 0 && !slices.Contains(hasCPU, node) {
				say("has_cpu", strconv.Itoa(node), "node %d has CPUs %v and isn't in has_cpu", node, cpus)
			}
			all = append(all, cpus...)
		}
		slices.Sort(all)
		if ok && !slices.Equal(all, online) {
			say("cpulist", "", "CPUs %v are online, the nodes together have %v", online, all)
		}
	},
})

// NodeTiers holds the memory tiers against the nodes with memory.
var NodeTiers = Invariants.Register(&Invariant{
	Name:  "node-tiers",
	Title: "the memory tiers don't fit the nodes with memory",
	Doc: "each node with memory is in one memory tier, others are in none; that one is missing is not judged once allocations were made to fail, " +
		"for a tier may not be made then",
	Source: "mm/memory-tiers.c memtier_hotplug_callback, set_node_memory_tier, clear_node_memory_tier",
	check: func(p *picture, say complain) {
		memory, ok := p.list("node/has_memory")
		var tiered []int
		for name, nodes := range p.lists {
			if strings.HasPrefix(name, "tier/") {
				tiered = append(tiered, nodes...)
			}
		}
		if !ok || len(tiered) == 0 {
			return
		}
		slices.Sort(tiered)
		if len(slices.Compact(slices.Clone(tiered))) != len(tiered) {
			say("twice", "", "nodes %v are in memory tiers", tiered)
		}
		if left := missing(tiered, memory); len(left) > 0 {
			say("left", "", "nodes %v are in a memory tier and have no memory", left)
		}
		if lost := missing(memory, tiered); len(lost) > 0 && p.complete() {
			say("lost", "", "nodes %v have memory and are in no memory tier", lost)
		}
	},
})

// numbers lists the keys of a map in order.
func numbers[V any](m map[int]V) []int { return slices.Sorted(maps.Keys(m)) }
