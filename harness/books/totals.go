// SPDX-License-Identifier: Apache-2.0

package books

import (
	"fmt"
	"strings"
)

// MemTotal holds the sum of all memory against the zones.
var MemTotal = Invariants.Register(&Invariant{
	Name:   "mem-total",
	Title:  "MemTotal is not the sum of the zones' managed pages",
	Doc:    "what the kernel counts as memory in all is what it manages in its zones: both change together when memory comes or goes",
	Source: "mm/page_alloc.c adjust_managed_page_count; mm/memory_hotplug.c offline_pages",
	check: func(p *picture, say complain) {
		var kib uint64
		page := p.sample.Guest.PageBytes
		if _, err := fmt.Sscanf(strings.TrimPrefix(p.sample.Guest.MemTotal, "MemTotal:"), "%d kB", &kib); err != nil || page == 0 {
			return
		}
		var managed uint64
		for _, n := range p.nodes {
			managed += n.managed
		}
		if total := kib << 10 / page; total != managed {
			say("", "", "MemTotal is %d pages, the zones manage %d", total, managed)
		}
	},
})

// SlabCaches finds caches that outlive their destruction.
var SlabCaches = Invariants.Register(&Invariant{
	Name:   "slab-caches",
	Title:  "a slab cache is in sysfs after its destruction",
	Doc:    "nothing is left below /sys/kernel/slab of the caches that our module plugstorm_slab made, when it is unloaded",
	Source: "mm/slab_common.c kmem_cache_destroy, mm/slub.c sysfs_slab_unlink",
	check: func(p *picture, say complain) {
		for _, name := range p.sample.Guest.Caches {
			say("", name, "/sys/kernel/slab/%s", name)
		}
	},
})
