// SPDX-License-Identifier: Apache-2.0

package op

import "math/rand/v2"

// BlockOnlineKernel brings a memory block online for the kernel's own use.
var BlockOnlineKernel = Kinds.Register(&Kind{
	Name: "block-online-kernel",
	Doc: "bring a memory block of a DIMM online in a kernel zone (`online_kernel`): a node's first such block is what the slab allocator's " +
		"node structures, memory tiers and kernel allocations wait for; it can only go again while nothing unmovable is on it",
	Touches:  blockOnlineTouches,
	Deadline: patience,
	Zero:     func() Op { return &blockSet{} },
	Draw: func(r *rand.Rand, s *State) Op {
		b, ok := pick(r, s.blocks(true))
		if !ok {
			return nil
		}
		return &blockSet{Block: b, Via: "state", Value: "online_kernel"}
	},
})
