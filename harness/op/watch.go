// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
	"strings"
	"time"

	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
)

// A watch collects the events about one device, from before the command that
// causes them.
type watch struct {
	vm     *vm.VM
	device string
	slot   string // where the guest says that an ACPI device is, "DIMM 3"; empty until it does
	events <-chan qmp.Event
	stop   context.CancelFunc
}

func watchDevice(ctx context.Context, v *vm.VM, device string) *watch {
	ctx, stop := context.WithCancel(ctx)
	events := v.Monitor.Watch(ctx, qmp.EventACPIDeviceOST, qmp.EventDeviceDeleted, qmp.EventDeviceUnplugGuestError, qmp.EventMemUnplugError)
	return &watch{vm: v, device: device, events: events, stop: stop}
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
			if err != nil || about(data) == w.device || w.inOurSlot(data) {
				return data, err
			}
		}
	}
}

// inOurSlot reports whether an event is about our slot after the device has
// left it: QEMU doesn't know whose slot it was any more.
func (w *watch) inOurSlot(event any) bool {
	ost, ok := event.(qmp.ACPIDeviceOST)
	return ok && ost.Device == "" && w.slot != "" && slotOf(ost) == w.slot
}

func slotOf(e qmp.ACPIDeviceOST) string { return e.SlotType + " " + e.Slot }

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

// untoldAfter is pendingAfter where a refusal may never be told of, but the guest
// can be asked again (see askAgain).
const untoldAfter = 10 * time.Second

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
	limit := pendingAfter
	if w.vm.Spec.Machine.DIMM.RemoveRequest != "" {
		limit = untoldAfter
	}
	short, cancel := context.WithTimeout(ctx, w.vm.Deadline(limit))
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
			return w.settled(ctx)
		case qmp.MemUnplugError:
			return w.stays("%s", e.Msg)
		case qmp.DeviceUnplugGuestError:
			return w.stays("by a guest error")
		case qmp.ACPIDeviceOST:
			w.slot = slotOf(e)
			switch {
			case e.Status == qmp.OSTEjectInProgress:
				acknowledged = true
			case e.Source != qmp.OSTDeviceCheck && e.Status != qmp.OSTSuccess:
				return w.stays("with status %#x", e.Status)
			}
		}
	}
}

// settleLimit is how long the guest may take to say that it is through with a
// slot that is empty already. Nothing but the slot's next use depends on it.
const settleLimit = 5 * time.Second

// settled waits until an ACPI guest is through with the slot of a device that
// has left. A device that is plugged there before is taken for the old one
// ("Eject incomplete", drivers/acpi/scan.c acpi_scan_hot_remove) and never
// added.
func (w *watch) settled(ctx context.Context) error {
	if w.slot == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, w.vm.Deadline(settleLimit))
	defer cancel()
	for {
		event, err := w.next(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		if ost, ok := event.(qmp.ACPIDeviceOST); ok && ost.Status != qmp.OSTEjectInProgress {
			return nil
		}
	}
}

// stays notes that a removal was refused.
func (w *watch) stays(format string, args ...any) error {
	w.vm.Devices.SetLeaving(w.device, false)
	return refused("the guest refused to release "+w.device+" "+format, args...)
}
