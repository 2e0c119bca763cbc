// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
)

// cpuLimit is how long the guest tries before its write is interrupted: as
// long as another task holds device_hotplug_lock, the offlining of memory that
// can't move for one, the kernel restarts the system call (drivers/base/core.c
// lock_device_hotplug_sysfs).
const cpuLimit = 10 * time.Second

// CPUOffline brings a CPU offline.
var CPUOffline = Kinds.Register(&Kind{
	Name:     "cpu-offline",
	Doc:      "bring a CPU offline through cpuN/online",
	Touches:  cpuTouches,
	Deadline: patience,
	Zero:     func() Op { return &cpuSet{} },
	Draw: func(r *rand.Rand, s *State) Op {
		online := slices.DeleteFunc(slices.Clone(s.CPUSlots), func(i int) bool { return s.Offline[i] })
		if cpu, ok := pick(r, online); ok {
			return &cpuSet{CPU: cpu}
		}
		return nil
	},
})

// CPUOnline brings a CPU online.
var CPUOnline = Kinds.Register(&Kind{
	Name:     "cpu-online",
	Doc:      "bring a CPU online through cpuN/online",
	Touches:  cpuTouches,
	Deadline: patience,
	Zero:     func() Op { return &cpuSet{} },
	Draw: func(r *rand.Rand, s *State) Op {
		if cpu, ok := pick(r, sortedKeys(s.Offline)); ok {
			return &cpuSet{CPU: cpu, Online: true}
		}
		return nil
	},
})

type cpuSet struct {
	CPU    int  `json:"cpu"`
	Online bool `json:"online"`
}

// drawCPUSet draws a CPU that changes to the other state; ok is false without one.
func drawCPUSet(r *rand.Rand, s *State) (o cpuSet, ok bool) {
	cpu, ok := pick(r, s.CPUSlots)
	return cpuSet{CPU: cpu, Online: s.Offline[cpu]}, ok
}

func (o *cpuSet) Inject(ctx context.Context, v *vm.VM) error {
	return setCPU(ctx, v, o.CPU, o.Online)
}

func setCPU(ctx context.Context, v *vm.VM, cpu int, online bool) error {
	return guestRefusal(v.Agent.Call(ctx, agent.MethodSetCPU, agent.SetCPUParams{
		CPU: cpu, Online: online, LimitMS: v.Deadline(cpuLimit).Milliseconds(),
	}, nil))
}

// Confirm has nothing to wait for: the kernel's write(2) returned.
func (o *cpuSet) Confirm(context.Context, *vm.VM) error { return nil }

// settle sets the CPU for good. It is no news to the kernel if the CPU is there
// already.
func (o *cpuSet) settle(ctx context.Context, v *vm.VM) error {
	err := setCPU(ctx, v, o.CPU, o.Online)
	if errors.Is(err, ErrRefused) && o.is(ctx, v) {
		return nil
	}
	return err
}

// is reports whether the CPU is in the state that the op wants.
func (o *cpuSet) is(ctx context.Context, v *vm.VM) bool {
	var now agent.CPUsReply
	return v.Agent.Call(ctx, agent.MethodCPUs, agent.CPUsParams{}, &now) == nil && slices.Contains(now.Online, o.CPU) == o.Online
}

func (o *cpuSet) Apply(s *State) {
	if o.Online {
		delete(s.Offline, o.CPU)
	} else {
		s.Offline[o.CPU] = true
	}
}
