// SPDX-License-Identifier: Apache-2.0

package books

import "strconv"

// RAMHasBlocks finds resources that are leaked.
var RAMHasBlocks = Invariants.Register(&Invariant{
	Name:  "ram-has-blocks",
	Title: "/proc/iomem has memory that no memory block is of",
	Doc: "each part of a \"System RAM\" resource is in a memory block: a resource that is left behind keeps its range from being added again " +
		"(register_memory_resource() answers EEXIST)",
	Source: "mm/memory_hotplug.c __add_memory, try_remove_memory; drivers/base/memory.c add_boot_memory_block",
	check: func(p *picture, say complain) {
		size := p.sample.Guest.BlockBytes
		if size == 0 {
			return
		}
		for _, r := range p.ram {
			for id, n := r.Start/size, 0; id*size < r.Start+r.Size && n < most; id, n = id+1, n+1 {
				if _, ok := p.blocks[int(id)]; !ok {
					say("", strconv.FormatUint(id, 10), "memory at %#x to %#x is listed and memory%d doesn't exist", r.Start, r.Start+r.Size-1, id)
				}
			}
		}
	},
})
