// SPDX-License-Identifier: Apache-2.0

package qmp

import (
	"encoding/json"
	"fmt"

	"plugstorm/harness/blame"
)

// Names of the events that have a type here.
const (
	EventACPIDeviceOST          = "ACPI_DEVICE_OST"
	EventDeviceDeleted          = "DEVICE_DELETED"
	EventDeviceUnplugGuestError = "DEVICE_UNPLUG_GUEST_ERROR"
	EventMemUnplugError         = "MEM_UNPLUG_ERROR"
	EventShutdown               = "SHUTDOWN"
	EventReset                  = "RESET"
	EventGuestPanicked          = "GUEST_PANICKED"
	EventResume                 = "RESUME" // the guest runs again, or begins to; it has no data
)

// ACPIDeviceOST is the guest's report about a plug or unplug: its firmware
// code evaluated _OST (qapi/acpi.json ACPIOSTInfo).
type ACPIDeviceOST struct {
	Device   string `json:"device"` // empty if it was given no id, or is gone
	Slot     string `json:"slot"`
	SlotType string `json:"slot-type"` // "DIMM" or "CPU"
	Source   int64  `json:"source"`    // OSTDeviceCheck, ...
	Status   int64  `json:"status"`    // OSTSuccess, ...
}

// Sources and status codes of _OST: ACPI 6.5 section 6.3.5, and Linux'
// include/linux/acpi.h ACPI_OST_SC_*.
const (
	OSTDeviceCheck  = 1     // source: the answer to a plug
	OSTEjectRequest = 3     // source: the answer to an unplug
	OSTOSPMEject    = 0x103 // source: the guest ejects by itself

	OSTSuccess             = 0
	OSTFailure             = 1    // without a reason
	OSTUnrecognized        = 2    // the guest doesn't know this notification
	OSTEjectNotSupported   = 0x80 // this and below: of the two eject sources
	OSTEjectInUse          = 0x81
	OSTEjectBusy           = 0x82
	OSTEjectDependencyBusy = 0x83
	OSTEjectInProgress     = 0x84 // no answer yet, another one follows
)

// DeviceDeleted says that the device is unplugged and QEMU has forgotten it.
// A device with children (virtio-pci) causes one for each; theirs have a Path
// only.
type DeviceDeleted struct {
	Device string `json:"device"` // empty if it was given no id
	Path   string `json:"path"`   // QOM path
}

// DeviceUnplugGuestError says that the guest refused an unplug.
type DeviceUnplugGuestError struct {
	Device string `json:"device"` // empty if it was given no id
	Path   string `json:"path"`
}

// MemUnplugError says the same of memory, in older versions of QEMU
// (deprecated in 6.2; 10.0 has it no more).
type MemUnplugError struct {
	Device string `json:"device"`
	Msg    string `json:"msg"`
}

// Shutdown says that QEMU stops the guest for good.
type Shutdown struct {
	Guest  bool   `json:"guest"`  // the guest asked for it
	Reason string `json:"reason"` // "host-qmp-quit", "guest-shutdown", "guest-reset", "guest-panic", ...
}

// Reset says that the guest is being reset.
type Reset struct {
	Guest  bool   `json:"guest"`
	Reason string `json:"reason"`
}

// GuestPanicked says that a panic device reported a panic.
type GuestPanicked struct {
	Action string          `json:"action"` // what QEMU does about it: "pause", "poweroff", "run"
	Info   json.RawMessage `json:"info"`   // depends on the device; usually nil
}

// decoders is the one list of typed events.
var decoders = map[string]func(json.RawMessage) (any, error){
	EventACPIDeviceOST: func(data json.RawMessage) (any, error) {
		var v struct {
			Info *ACPIDeviceOST `json:"info"`
		}
		if err := json.Unmarshal(data, &v); err != nil {
			return nil, err
		}
		if v.Info == nil {
			return nil, fmt.Errorf("no info")
		}
		return *v.Info, nil
	},
	EventDeviceDeleted:          typed[DeviceDeleted],
	EventDeviceUnplugGuestError: typed[DeviceUnplugGuestError],
	EventMemUnplugError:         typed[MemUnplugError],
	EventShutdown:               typed[Shutdown],
	EventReset:                  typed[Reset],
	EventGuestPanicked:          typed[GuestPanicked],
}

func typed[T any](data json.RawMessage) (any, error) {
	var v T
	err := json.Unmarshal(data, &v)
	return v, err
}

// Decode returns the event's data as a value of one of the types above, for a
// type switch, and nil for an event that has none.
func (e Event) Decode() (any, error) {
	decode, ok := decoders[e.Name]
	if !ok {
		return nil, nil
	}
	v, err := decode(e.Data)
	if err != nil {
		return nil, blame.Errorf(blame.Hypervisor, "check that this QEMU version is supported",
			"event %s with unexpected data: %w", e.Name, err)
	}
	return v, nil
}
