// SPDX-License-Identifier: Apache-2.0

package books

import "strconv"

// BlocksHaveRAM finds blocks that are left behind.
var BlocksHaveRAM = Invariants.Register(&Invariant{
	Name:   "blocks-have-ram",
	Title:  "a memory block is of no memory in /proc/iomem",
	Doc:    "there is a \"System RAM\" resource in each memory block: blocks are made after it and removed before it",
	Source: "mm/memory_hotplug.c add_memory_resource, try_remove_memory",
	check: func(p *picture, say complain) {
		size := p.sample.Guest.BlockBytes
		for id := range p.blocks {
			if block := (Range{uint64(id) * size, size}); !block.touches(p.ram) {
				say("", strconv.Itoa(id), "memory%d is there, and no memory at %#x to %#x is listed", id, block.Start, block.Start+size-1)
			}
		}
	},
})

// BlocksPlugged finds blocks whose DIMM is gone.
var BlocksPlugged = Invariants.Register(&Invariant{
	Name:   "blocks-plugged",
	Title:  "a memory block is of a DIMM that is gone",
	Doc:    "each memory block above the memory that the machine boots with is in a DIMM that QEMU has: the guest lets a DIMM go after its memory",
	Source: "drivers/acpi/scan.c acpi_scan_hot_remove, arch/powerpc/platforms/pseries/hotplug-memory.c dlpar_memory_remove_by_ic",
	check: func(p *picture, say complain) {
		if p.sample.QEMU == nil || p.bootBytes == 0 {
			return
		}
		size := p.sample.Guest.BlockBytes
		for id := range p.blocks {
			block := Range{uint64(id) * size, size}
			if block.Start >= p.bootBytes && !block.touches(p.sample.QEMU.Memory) {
				say("", strconv.Itoa(id), "memory%d is there, and nothing is plugged at %#x to %#x", id, block.Start, block.Start+size-1)
			}
		}
	},
})

// BlocksBound finds memory that its DIMM's driver has given up.
var BlocksBound = Invariants.Register(&Invariant{
	Name:  "blocks-bound",
	Title: "a memory block of a DIMM is bound to no ACPI device",
	Doc: "where memory is plugged by ACPI there are links between each block of a DIMM and the DIMM's device: without them no driver has the memory, and an eject " +
		"would take it away with nobody bringing it offline",
	Source: "drivers/acpi/acpi_memhotplug.c acpi_memory_enable_device; drivers/acpi/glue.c acpi_bind_one",
	check: func(p *picture, say complain) {
		if p.sample.QEMU == nil || len(p.sample.Guest.ACPI) == 0 {
			return
		}
		kind := "" // what failing allocations lead to is known of unmodified kernels
		if !p.complete() {
			kind = "after failed allocations"
		}
		bound := map[int]bool{}
		for _, d := range p.sample.Guest.ACPI {
			for _, id := range links(d, "memory") {
				bound[id] = true
			}
		}
		size := p.sample.Guest.BlockBytes
		for id, d := range p.blocks {
			if block := (Range{uint64(id) * size, size}); block.touches(p.sample.QEMU.Memory) && d.Firmware == "" && !bound[id] {
				say(kind, strconv.Itoa(id), "memory%d is of a DIMM, and no ACPI device has a link to it", id)
			}
		}
	},
})

// touches reports whether a range has something in common with one of others.
func (r Range) touches(others []Range) bool {
	for _, o := range others {
		if o.Start < r.Start+r.Size && r.Start < o.Start+o.Size {
			return true
		}
	}
	return false
}
