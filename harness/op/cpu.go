// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
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

func (o *cpuSet) Apply(s *State) {
	if o.Online {
		delete(s.Offline, o.CPU)
	} else {
		s.Offline[o.CPU] = true
	}
}
