// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
)

func errnoName(e syscall.Errno) string { return unix.ErrnoName(e) }

// qemuRefusal turns QEMU's "no" to a hot-plug command into a refusal: a slot
// that isn't free, an unplug already under way.
func qemuRefusal(err error) error {
	var qe *qmp.Error
	if errors.As(err, &qe) {
		return refused("QEMU: %s", qe.Desc)
	}
	return err
}

// dimmSlot is the slot that a DIMM's name stands for. Every DIMM has its own,
// so that no lane uses a slot in which another one's removal is still settling.
func dimmSlot(id string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimPrefix(id, "dimm"))
	return n, err == nil && n >= 0
}

// backendOf is the ID of a DIMM's memory backend.
func backendOf(dimm string) string { return "mem-" + dimm }

// whereIs asks QEMU where it put a DIMM.
func whereIs(ctx context.Context, v *vm.VM, id string) (vm.Range, error) {
	all, err := qmp.QueryMemoryDevices(ctx, v.Monitor)
	if err != nil {
		return vm.Range{}, err
	}
	for _, d := range all {
		if d.Data.ID == id {
			return vm.Range{Start: d.Data.Addr, Size: d.Data.Size}, nil
		}
	}
	return vm.Range{}, errNotPlugged
}

var errNotPlugged = blame.Errorf(blame.Hypervisor, "", "QEMU doesn't list a DIMM that it accepted")

// settle finds out whether a DIMM whose removal was pending has left since,
// and cleans up after it.
func settle(ctx context.Context, v *vm.VM, id string) error {
	if !v.Devices.IsLeaving(id) {
		return nil
	}
	_, err := whereIs(ctx, v, id)
	if !errors.Is(err, errNotPlugged) {
		return err
	}
	v.Devices.SetLeaving(id, false)
	v.Devices.DropDIMM(id)
	return qmp.ObjectDel(ctx, v.Monitor, backendOf(id))
}

// onlineLimit is how long a guest that onlines new memory by itself may take
// to do so once the memory is there: add_memory_resource() does both in a row,
// and goes on if a block can't be onlined (mm/memory_hotplug.c).
const onlineLimit = 20 * time.Second

// memoryWait is how long one question lets the guest wait for its memory.
const memoryWait = time.Second

// waitMemory waits until the guest has all memory blocks of a range, and, if
// it onlines new memory by itself, until they are online. It reports whether all
// of them are bound to the firmware's device then.
func waitMemory(ctx context.Context, v *vm.VM, r vm.Range) (bound bool, err error) {
	var present time.Time
	params := agent.MemoryParams{Start: r.Start, Size: r.Size, Online: v.Spec.AutoOnline, WaitMS: memoryWait.Milliseconds()}
	err = poll(ctx, func() (bool, error) {
		var m agent.MemoryReply
		err := v.Agent.Call(ctx, agent.MethodMemory, params, &m)
		if err != nil || !m.Present {
			return false, err
		}
		bound = !slices.ContainsFunc(m.Blocks, func(b agent.Block) bool { return !b.Bound })
		if present.IsZero() {
			present = time.Now()
		}
		offline := slices.ContainsFunc(m.Blocks, func(b agent.Block) bool { return b.State != "online" })
		if offline && v.Spec.AutoOnline && time.Since(present) > v.Deadline(onlineLimit) {
			return false, refused("the guest has the memory and does not online all of it")
		}
		return !offline || !v.Spec.AutoOnline, nil
	})
	return bound, err
}

// blocksOf asks the guest which memory blocks it has in a range now.
func blocksOf(ctx context.Context, v *vm.VM, r vm.Range) ([]agent.Block, error) {
	var m agent.MemoryReply
	err := v.Agent.Call(ctx, agent.MethodMemory, agent.MemoryParams{Start: r.Start, Size: r.Size}, &m)
	return m.Blocks, err
}

// vcpuSlot finds the slot of vCPU number i.
func vcpuSlot(ctx context.Context, v *vm.VM, i int) (qmp.HotpluggableCPU, error) {
	slots, err := qmp.QueryHotpluggableCPUs(ctx, v.Monitor)
	if err != nil {
		return qmp.HotpluggableCPU{}, err
	}
	for _, slot := range slots {
		if n, ok := slot.Props[v.Spec.Machine.VCPU.Key]; ok && int(n) == i {
			return slot, nil
		}
	}
	return qmp.HotpluggableCPU{}, blame.Errorf(blame.Harness, "", "QEMU has no slot for vCPU %d", i)
}

// The pauses between looks of poll.
const (
	pollSoon = 2 * time.Millisecond
	pollLate = 200 * time.Millisecond
)

// poll asks again, with growing pauses, until the answer is yes, an error, or
// ctx ends. Who asks the guest has it wait for what is asked for.
func poll(ctx context.Context, yes func() (bool, error)) error {
	pause := pollSoon
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		if ok, err := yes(); ok || err != nil {
			return err
		}
		timer.Reset(pause)
		pause = min(2*pause, pollLate)
	}
}

// Pause waits for d or ctx, and reports whether d passed.
func Pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
