// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
)

// A Block names a memory block of a DIMM.
type Block struct {
	DIMM  string `json:"dimm"`
	Index int    `json:"index"`
}

// blockLimit is how long the guest tries to offline a block before its write
// is interrupted: offline_pages() loops for as long as a page can't be moved
// and gives up only on a signal (mm/memory_hotplug.c).
const blockLimit = 10 * time.Second

// BlockOffline brings a memory block offline.
var BlockOffline = Kinds.Register(&Kind{
	Name:     "block-offline",
	Doc:      "bring a memory block of a DIMM offline through its `state` or `online` attribute",
	Touches:  blockOfflineTouches,
	Deadline: patience,
	Zero:     func() Op { return &blockSet{} },
	Draw: func(r *rand.Rand, s *State) Op {
		b, ok := pick(r, s.blocks(false))
		if !ok {
			return nil
		}
		o := &blockSet{Block: b, Via: "state", Value: "offline"}
		if r.IntN(2) == 0 {
			o.Via, o.Value = "online", "0"
		}
		return o
	},
})

// BlockOnline brings a memory block online.
var BlockOnline = Kinds.Register(&Kind{
	Name:     "block-online",
	Doc:      "bring a memory block of a DIMM online through its `state` or `online` attribute",
	Touches:  blockOnlineTouches,
	Deadline: patience,
	Zero:     func() Op { return &blockSet{} },
	Draw: func(r *rand.Rand, s *State) Op {
		b, ok := pick(r, s.blocks(true))
		if !ok {
			return nil
		}
		o := &blockSet{Block: b, Via: "state", Value: "online_movable"}
		if r.IntN(2) == 0 {
			o.Via, o.Value = "online", "1"
		}
		return o
	},
})

type blockSet struct {
	Block
	Via   string `json:"via"`   // "state" or "online"
	Value string `json:"value"` // what is written
}

func (o *blockSet) Inject(ctx context.Context, v *vm.VM) error {
	params, err := o.params(v)
	if err != nil {
		return err
	}
	return guestRefusal(v.Agent.Call(ctx, agent.MethodSetBlock, params, nil))
}

// params says which block of the guest it is, if its DIMM is there.
func (o *blockSet) params(v *vm.VM) (agent.SetBlockParams, error) {
	r, there := v.Devices.DIMM(o.DIMM)
	if !there {
		return agent.SetBlockParams{}, refused("%s is not plugged: its add didn't succeed", o.DIMM)
	}
	unit := uint64(v.Spec.Machine.DIMM.UnitMiB) << 20
	if uint64(o.Index) >= r.Size/unit {
		return agent.SetBlockParams{}, refused("%s is a smaller one than planned: its add didn't succeed", o.DIMM)
	}
	return agent.SetBlockParams{
		ID: r.Start/unit + uint64(o.Index), Via: o.Via, Value: o.Value,
		LimitMS: v.Deadline(blockLimit).Milliseconds(),
	}, nil
}

// offline reports whether the block is to go offline.
func (o *blockSet) offline() bool { return o.Value == "offline" || o.Value == "0" }

// Confirm has nothing to wait for: the kernel's write(2) returned.
func (o *blockSet) Confirm(context.Context, *vm.VM) error { return nil }

func (o *blockSet) Apply(s *State) {
	dimm, ok := s.DIMMs[o.DIMM]
	switch {
	case !ok:
	case o.offline():
		dimm.Offline[o.Index] = true
	default:
		delete(dimm.Offline, o.Index)
	}
}
