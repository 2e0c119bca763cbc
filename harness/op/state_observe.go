// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"slices"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
)

// Observe has a state say of the lane's DIMMs and CPUs what a guest really has
// instead of what the lane believes: which are plugged (vCPUs, too), and what of them
// is offline. What can't be asked stays as it was believed, and is an error.
func (s *State) Observe(ctx context.Context, v *vm.VM) error {
	for _, id := range s.DIMMSlots {
		r, there := v.Devices.DIMM(id)
		if !there {
			delete(s.DIMMs, id)
			continue
		}
		blocks, err := blocksOf(ctx, v, r)
		if err != nil {
			return err
		}
		s.DIMMs[id] = observed(r, blocks, uint64(s.DIMM.UnitMiB)<<20)
	}
	if err := s.observeVCPUs(ctx, v); err != nil {
		return err
	}
	if len(s.CPUSlots) == 0 {
		return nil
	}
	var now agent.CPUsReply
	if err := v.Agent.Call(ctx, agent.MethodCPUs, agent.CPUsParams{}, &now); err != nil {
		return err
	}
	for _, cpu := range s.CPUSlots {
		if slices.Contains(now.Online, cpu) {
			delete(s.Offline, cpu)
		} else {
			s.Offline[cpu] = true
		}
	}
	return nil
}

func (s *State) observeVCPUs(ctx context.Context, v *vm.VM) error {
	for _, i := range s.VCPUSlots {
		slot, err := vcpuSlot(ctx, v, i)
		if err != nil {
			return err
		}
		if slot.QOMPath == "" {
			delete(s.VCPUs, i)
		} else {
			s.VCPUs[i] = true
		}
	}
	return nil
}

// observed is a DIMM in a range whose memory blocks, of unit bytes each, are as
// the guest says.
func observed(r vm.Range, blocks []agent.Block, unit uint64) DIMM {
	d := DIMM{MiB: int(r.Size >> 20), Offline: map[int]bool{}}
	for _, b := range blocks {
		if b.State == "offline" {
			d.Offline[int(b.ID-r.Start/unit)] = true
		}
	}
	return d
}
