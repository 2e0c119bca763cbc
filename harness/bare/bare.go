// SPDX-License-Identifier: Apache-2.0

// Package bare does with QEMU and QMP alone what plugstorm does with all of its
// books, events and records: the floor that a run is compared with.
package bare

import (
	"context"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
)

// Boot starts a guest and returns how long it took until the guest's agent was
// up, or, if it goes on from a saved state, until it ran. The caller closes v.
func Boot(ctx context.Context, b *vm.Backend, spec vm.Spec) (v *vm.VM, took time.Duration, err error) {
	if v, err = b.Start(ctx, spec); err != nil {
		return nil, 0, err
	}
	if spec.Incoming != "" {
		return v, time.Since(v.Started), nil // Start has waited for it to run
	}
	if _, err = v.WaitAgent(ctx); err != nil {
		v.Close()
		return nil, 0, err
	}
	return v, time.Since(v.Started), nil
}

// A Loop adds and removes DIMMs. It is for one goroutine.
type Loop struct {
	vm     *vm.VM
	events <-chan qmp.Event
}

// NewLoop makes a loop, which ends with ctx.
func NewLoop(ctx context.Context, v *vm.VM) *Loop { return &Loop{v, v.Monitor.Watch(ctx)} }

// Cycle adds a DIMM of one unit and removes it again.
func (l *Loop) Cycle(ctx context.Context, id string) error {
	if err := l.Add(ctx, id); err != nil {
		return err
	}
	return l.Remove(ctx, id)
}

// Add plugs a DIMM and waits until the guest has its memory: for the completion
// event where the machine has one, else it asks the guest again and again.
func (l *Loop) Add(ctx context.Context, id string) error {
	m := l.vm.Spec.Machine
	if err := qmp.ObjectAdd(ctx, l.vm.Monitor, "memory-backend-ram", backend(id), map[string]any{"size": m.DIMM.UnitMiB << 20}); err != nil {
		return err
	}
	if err := qmp.DeviceAdd(ctx, l.vm.Monitor, "pc-dimm", id, map[string]any{"memdev": backend(id), "node": m.DIMM.Node}); err != nil {
		return err
	}
	if m.DIMM.AddEvent != "" {
		return l.await(ctx, inserted)
	}
	return l.awaitMemory(ctx, id)
}

// Remove unplugs a DIMM and waits for QEMU's word, and where the machine's guest
// has one for the guest's: before that it takes a new DIMM in the slot for the
// old one.
func (l *Loop) Remove(ctx context.Context, id string) error {
	if err := qmp.DeviceDel(ctx, l.vm.Monitor, id); err != nil {
		return err
	}
	if err := l.await(ctx, deleted); err != nil {
		return err
	}
	if l.vm.Spec.Machine.DIMM.AddEvent != "" {
		if err := l.await(ctx, ejected); err != nil {
			return err
		}
	}
	return qmp.ObjectDel(ctx, l.vm.Monitor, backend(id))
}

func backend(id string) string { return "mem-" + id }

// The events that a cycle waits for.
func inserted(event any) bool { return answered(event, qmp.OSTDeviceCheck) }
func ejected(event any) bool  { return answered(event, qmp.OSTEjectRequest) }
func deleted(event any) bool {
	_, ok := event.(qmp.DeviceDeleted)
	return ok
}

func answered(event any, source int64) bool {
	ost, ok := event.(qmp.ACPIDeviceOST)
	return ok && ost.Source == source && ost.Status == qmp.OSTSuccess
}

// await reads events up to one that fits. A refusal is an error.
func (l *Loop) await(ctx context.Context, fits func(any) bool) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e, ok := <-l.events:
			if !ok {
				return blame.Errorf(blame.Hypervisor, "", "QEMU is gone: %w", l.vm.Monitor.Err())
			}
			data, err := e.Decode()
			if err != nil || fits(data) {
				return err
			}
			if _, refused := data.(qmp.DeviceUnplugGuestError); refused {
				return blame.Errorf(blame.Kernel, "", "the guest refused to give a DIMM back")
			}
		}
	}
}

// awaitMemory asks the guest until it has the DIMM's memory online.
func (l *Loop) awaitMemory(ctx context.Context, id string) error {
	devices, err := qmp.QueryMemoryDevices(ctx, l.vm.Monitor)
	if err != nil {
		return err
	}
	var where agent.MemoryParams
	for _, d := range devices {
		if d.Data.ID == id {
			where = agent.MemoryParams{Start: d.Data.Addr, Size: d.Data.Size}
		}
	}
	if where.Size == 0 {
		return blame.Errorf(blame.Hypervisor, "", "QEMU does not know the DIMM %s that it took", id)
	}
	for {
		var m agent.MemoryReply
		if err := l.vm.Agent.Call(ctx, agent.MethodMemory, where, &m); err != nil {
			return err
		}
		if m.Present && len(m.Blocks) > 0 && m.Blocks[len(m.Blocks)-1].State == "online" {
			return nil
		}
	}
}
