// SPDX-License-Identifier: Apache-2.0

package books

import (
	"fmt"

	"plugstorm/harness/agent"
)

// LMBBlocks holds what pseries counts as its memory against the memory blocks.
var LMBBlocks = Invariants.Register(&Invariant{
	Name:  "lmb-blocks",
	Title: "the logical memory blocks of pseries are not the memory that it has",
	Doc: "a logical memory block that can be plugged is assigned exactly if there is its memory block: one that stays assigned can't be added again, " +
		"one that isn't can't be removed",
	Source: "arch/powerpc/platforms/pseries/hotplug-memory.c dlpar_add_lmb, dlpar_remove_lmb",
	check: func(p *picture, say complain) {
		for _, lmb := range p.lmbs() {
			_, there := p.blocks[lmb.block]
			switch {
			case lmb.assigned && !there:
				say("assigned", lmb.subject(), "the block with index %#x, at %#x, is assigned, and memory%d doesn't exist", lmb.drc, lmb.start, lmb.block)
			case !lmb.assigned && there:
				say("not assigned", lmb.subject(), "memory%d is there, and the block with index %#x, at %#x, is not assigned", lmb.block, lmb.drc, lmb.start)
			}
		}
	},
})

// LMBNodes wants a node of each block of pseries that is assigned, and no other.
var LMBNodes = Invariants.Register(&Invariant{
	Name:   "lmb-nodes",
	Title:  "the nodes of pseries' logical memory blocks don't fit those that are assigned",
	Doc:    "a logical memory block that can be plugged has an associativity exactly if it is assigned; not judged of one that doesn't fit the memory",
	Source: "arch/powerpc/platforms/pseries/hotplug-memory.c update_lmb_associativity_index, dlpar_add_lmb, dlpar_remove_lmb",
	check: func(p *picture, say complain) {
		for _, lmb := range p.lmbs() {
			if _, there := p.blocks[lmb.block]; there != lmb.assigned {
				continue // a node is the least that is wrong about it
			}
			switch known := lmb.assoc != agent.NoAssoc; {
			case known && !lmb.assigned:
				say("left", lmb.subject(), "the block with index %#x has the associativity %d and is not assigned", lmb.drc, lmb.assoc)
			case !known && lmb.assigned:
				say("lost", lmb.subject(), "the block with index %#x is assigned and has no associativity", lmb.drc)
			}
		}
	},
})

// An lmb is one of pseries' logical memory blocks that can be plugged.
type lmb struct {
	drc, assoc uint32
	start      uint64
	block      int // the memory block that it is
	assigned   bool
}

func (l lmb) subject() string { return fmt.Sprintf("%#x", l.drc) }

// lmbs lists them: none if it isn't known, or if memory blocks have another size.
func (p *picture) lmbs() []lmb {
	from := p.sample.Guest.LMBs
	if from == nil || from.Bytes == 0 || from.Bytes != p.sample.Guest.BlockBytes {
		return nil
	}
	var all []lmb
	for _, set := range from.Sets {
		if set.Flags&(agent.LMBReserved|agent.LMBNoDRC) != 0 {
			continue // memory of the boot, and what can never be plugged
		}
		for i := uint32(0); i < set.Count && len(all) < most; i++ {
			start := set.Start + uint64(i)*from.Bytes
			all = append(all, lmb{
				drc: set.DRC + i, assoc: set.Assoc, start: start,
				block: int(start / from.Bytes), assigned: set.Flags&agent.LMBAssigned != 0,
			})
		}
	}
	return all
}
