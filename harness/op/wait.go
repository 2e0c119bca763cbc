// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
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

// A watch collects the events about one device, from before the command that
// causes them.
type watch struct {
	vm     *vm.VM
	device string
	events <-chan qmp.Event
	stop   context.CancelFunc
}

func watchDevice(ctx context.Context, v *vm.VM, device string) *watch {
	ctx, stop := context.WithCancel(ctx)
	return &watch{v, device, v.Monitor.Watch(ctx, qmp.EventACPIDeviceOST, qmp.EventDeviceDeleted, qmp.EventDeviceUnplugGuestError, qmp.EventMemUnplugError), stop}
}

func (w *watch) close() {
	if w != nil {
		w.stop()
	}
}

// next waits for the next event about the device, decoded.
func (w *watch) next(ctx context.Context) (any, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case e, ok := <-w.events:
			if !ok {
				return nil, errors.Join(w.vm.Monitor.Err(), ctx.Err())
			}
			data, err := e.Decode()
			if err != nil || about(data) == w.device {
				return data, err
			}
		}
	}
}

// about is the device an event is about.
func about(event any) string {
	switch e := event.(type) {
	case qmp.ACPIDeviceOST:
		return e.Device
	case qmp.DeviceDeleted:
		if e.Device != "" {
			return e.Device
		}
		// An x86 vCPU that leaves is told of by its child alone, as
		// /machine/peripheral/ID/lapic (seen with QEMU 10.0.2).
		id, _, _ := strings.Cut(strings.TrimPrefix(e.Path, "/machine/peripheral/"), "/")
		return id
	case qmp.DeviceUnplugGuestError:
		return e.Device
	case qmp.MemUnplugError:
		return e.Device
	}
	return ""
}

// added waits until an ACPI guest has answered an insertion.
func (w *watch) added(ctx context.Context) error {
	for {
		event, err := w.next(ctx)
		if err != nil {
			return err
		}
		if answered, err := w.insertion(event); answered {
			return err
		}
	}
}

// insertion reads the guest's answer to an insertion off an event, if it is one.
func (w *watch) insertion(event any) (answered bool, err error) {
	ost, ok := event.(qmp.ACPIDeviceOST)
	switch {
	case !ok || ost.Source != qmp.OSTDeviceCheck: // of an earlier removal
		return false, nil
	case ost.Status == qmp.OSTSuccess:
		return true, nil
	default:
		return true, refused("the guest answered the insertion of %s with status %d", w.device, ost.Status)
	}
}

// refusal says whether the guest has refused the insertion by now.
func (w *watch) refusal() error {
	for {
		select {
		case e, ok := <-w.events:
			if !ok {
				return nil // who asks will meet the reason
			}
			data, err := e.Decode()
			if err == nil && about(data) == w.device {
				_, err = w.insertion(data)
			}
			if err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// behind makes a guest's delay pending if a removal that is pending may be in
// the way: the kernel handles hotplug one by one (drivers/acpi/osl.c
// kacpi_hotplug_wq, arch/powerpc/platforms/pseries/dlpar.c pseries_hp_wq).
func behind(v *vm.VM, device string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && v.Devices.Leaving() > 0 {
		return pending("%s waits behind a removal that is pending", device)
	}
	return err
}

// pendingAfter is how long a lane waits for a removal that the guest is
// working on. It goes on with other devices then.
const pendingAfter = 30 * time.Second

// removed waits until the device has left. A removal may stay pending for
// ever, legitimately: offlining memory loops while a page can't be moved. It
// counts as hung only if the guest never acknowledged it (ACPI) and no other
// removal is in its way. A guest that is really stuck is for the kernel's own
// hung-task detector to report.
func (w *watch) removed(ctx context.Context) error {
	others := w.vm.Devices.Leaving()
	w.vm.Devices.SetLeaving(w.device, true)
	// pseries has no acknowledgement: QEMU's acceptance has to do.
	acknowledged := w.vm.Spec.Machine.DIMM.AddEvent == ""
	short, cancel := context.WithTimeout(ctx, w.vm.Deadline(pendingAfter))
	defer cancel()
	wait := short
	for {
		event, err := w.next(wait)
		if errors.Is(err, context.DeadlineExceeded) && (acknowledged || others > 0) {
			return pending("the guest has not let go of %s", w.device)
		}
		if wait == short && short.Err() != nil && ctx.Err() == nil {
			wait = ctx // nobody has acknowledged it: the step's own deadline decides
			continue
		}
		if err != nil {
			return err
		}
		switch e := event.(type) {
		case qmp.DeviceDeleted:
			w.vm.Devices.SetLeaving(w.device, false)
			return nil
		case qmp.MemUnplugError:
			return w.stays("%s", e.Msg)
		case qmp.DeviceUnplugGuestError:
			return w.stays("by a guest error")
		case qmp.ACPIDeviceOST:
			switch {
			case e.Status == qmp.OSTEjectInProgress:
				acknowledged = true
			case e.Source != qmp.OSTDeviceCheck && e.Status != qmp.OSTSuccess:
				return w.stays("with status %#x", e.Status)
			}
		}
	}
}

// stays notes that a removal was refused.
func (w *watch) stays(format string, args ...any) error {
	w.vm.Devices.SetLeaving(w.device, false)
	return refused("the guest refused to release "+w.device+" "+format, args...)
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

// waitMemory waits until the guest has all memory blocks of a range, and, if
// it onlines new memory by itself, until they are online.
func waitMemory(ctx context.Context, v *vm.VM, r vm.Range) error {
	return poll(ctx, func() (bool, error) {
		var m agent.MemoryReply
		err := v.Agent.Call(ctx, agent.MethodMemory, agent.MemoryParams{Start: r.Start, Size: r.Size}, &m)
		if err != nil || !m.Present {
			return false, err
		}
		for _, b := range m.Blocks {
			if b.State != "online" && v.Spec.AutoOnline {
				return false, nil
			}
		}
		return true, nil
	})
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

// poll asks again, with growing pauses, until the answer is yes, an error, or
// ctx ends.
func poll(ctx context.Context, yes func() (bool, error)) error {
	pause := 2 * time.Millisecond
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
		pause = min(2*pause, 200*time.Millisecond)
	}
}
