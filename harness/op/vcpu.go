// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
)

// VCPUAdd plugs a vCPU.
var VCPUAdd = Kinds.Register(&Kind{
	Name:     "vcpu-add",
	Doc:      "plug a vCPU (device_add), unless it has been there since boot and never online, and wait until the guest has it online",
	Touches:  vcpuTouches,
	Deadline: patience,
	Zero:     func() Op { return &vcpuAdd{} },
	Draw: func(r *rand.Rand, s *State) Op {
		absent := slices.DeleteFunc(slices.Clone(s.VCPUSlots), func(i int) bool { return s.VCPUs[i] })
		if i, ok := pick(r, absent); ok {
			return &vcpuAdd{CPU: i}
		}
		return nil
	},
})

type vcpuAdd struct {
	CPU int `json:"cpu"`

	before []int // CPUs present in the guest
	events *watch
}

func (o *vcpuAdd) Inject(ctx context.Context, v *vm.VM) error {
	slot, err := vcpuSlot(ctx, v, o.CPU)
	if err != nil {
		return err
	}
	var cpus agent.CPUsReply
	if err := v.Agent.Call(ctx, agent.MethodCPUs, agent.CPUsParams{}, &cpus); err != nil {
		return err
	}
	o.before = cpus.Present
	plugged := slot.QOMPath != ""
	fresh := slices.Contains(v.Spec.Machine.VCPU.Fresh(v.Spec.FreshVCPUs), o.CPU) && !slices.Contains(cpus.Online, o.CPU)
	if plugged && !fresh {
		return refused("%s is still plugged: its removal didn't succeed", vm.VCPUID(o.CPU))
	}
	o.events = watchDevice(ctx, v, vm.VCPUID(o.CPU))
	if plugged {
		return nil // it has waited since the guest's boot
	}
	v.Devices.SetLeaving(vm.VCPUID(o.CPU), false) // a removal that was pending is over
	if limit := v.Budget().VCPUAdds; !v.Devices.SpendVCPUAdd(limit) {
		return fmt.Errorf("%w: QEMU survives only %d vCPU adds per guest here", ErrSpent, limit)
	}
	place := map[string]any{}
	for name, value := range slot.Props {
		place[name] = value
	}
	return qemuRefusal(qmp.DeviceAdd(ctx, v.Monitor, slot.Type, vm.VCPUID(o.CPU), place))
}

// cpuWait is how long the guest waits for a change of its CPUs before the host
// looks for a refusal again.
const cpuWait = 200 * time.Millisecond

func (o *vcpuAdd) Confirm(ctx context.Context, v *vm.VM) error {
	defer o.events.close()
	cpu := -1
	var seen agent.CPUsParams
	err := poll(ctx, func() (bool, error) {
		if err := o.events.refusal(); err != nil {
			return false, err
		}
		var now agent.CPUsReply
		if err := v.Agent.Call(ctx, agent.MethodCPUs, seen, &now); err != nil {
			return false, err
		}
		seen = agent.CPUsParams{Present: now.Present, Online: now.Online, WaitMS: cpuWait.Milliseconds()}
		cpu = newCPU(o.before, now, v.Spec.Machine.VCPU.ColdPlugged, o.CPU)
		return cpu >= 0 && (v.Spec.Machine.VCPU.GuestOnlines || slices.Contains(now.Online, cpu)), nil
	})
	if err != nil || !v.Spec.Machine.VCPU.GuestOnlines {
		return behind(v, vm.VCPUID(o.CPU), err)
	}
	return setCPU(ctx, v, cpu, true)
}

// newCPU finds the guest's number of an added vCPU. A kernel that saw the
// vCPU at boot keeps its number (arch/x86/kernel/cpu/topology.c); elsewhere it
// is whichever appeared, -1 while none has.
func newCPU(before []int, now agent.CPUsReply, stable bool, want int) int {
	if stable {
		if slices.Contains(now.Present, want) {
			return want
		}
		return -1
	}
	for _, cpu := range now.Present {
		if !slices.Contains(before, cpu) {
			return cpu
		}
	}
	return -1
}

func (o *vcpuAdd) Apply(s *State) { s.VCPUs[o.CPU] = true }

// VCPURemove unplugs a vCPU.
var VCPURemove = Kinds.Register(&Kind{
	Name:     "vcpu-remove",
	Doc:      "unplug a vCPU (device_del) and wait until the guest has let it go or refused",
	Touches:  vcpuTouches,
	Deadline: patience,
	Zero:     func() Op { return &vcpuRemove{} },
	Draw: func(r *rand.Rand, s *State) Op {
		if !s.Budget.VCPURemove {
			return nil
		}
		if i, ok := pick(r, sortedKeys(s.VCPUs)); ok {
			return &vcpuRemove{CPU: i}
		}
		return nil
	},
})

type vcpuRemove struct {
	CPU int `json:"cpu"`

	events *watch
}

func (o *vcpuRemove) Inject(ctx context.Context, v *vm.VM) error {
	if !v.Budget().VCPURemove {
		return refused("a known defect of QEMU %s breaks it on vCPU removal", v.Spec.Version)
	}
	slot, err := vcpuSlot(ctx, v, o.CPU)
	if err != nil {
		return err
	}
	if slot.QOMPath == "" {
		v.Devices.SetLeaving(vm.VCPUID(o.CPU), false) // a removal that was pending is over
		return refused("%s is not plugged: its add didn't succeed", vm.VCPUID(o.CPU))
	}
	o.events = watchDevice(ctx, v, vm.VCPUID(o.CPU))
	return qemuRefusal(qmp.DeviceDel(ctx, v.Monitor, vm.VCPUID(o.CPU)))
}

func (o *vcpuRemove) Confirm(ctx context.Context, v *vm.VM) error {
	defer o.events.close()
	return o.events.removed(ctx)
}

func (o *vcpuRemove) Apply(s *State) { delete(s.VCPUs, o.CPU) }
