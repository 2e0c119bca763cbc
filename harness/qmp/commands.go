// SPDX-License-Identifier: Apache-2.0

package qmp

import (
	"context"
	"errors"
	"maps"
)

// Status is the reply of query-status (qapi/run-state.json StatusInfo).
type Status struct {
	Status  string `json:"status"` // "running", "paused", "prelaunch", "inmigrate", "guest-panicked", ...
	Running bool   `json:"running"`
}

// QueryStatus asks whether the guest runs.
func QueryStatus(ctx context.Context, m Monitor) (Status, error) {
	return query[Status](ctx, m, "query-status")
}

// Stop pauses all vCPUs; the guest's clocks stop with them.
func Stop(ctx context.Context, m Monitor) error { return m.Do(ctx, "stop", nil, nil) }

// Cont starts or resumes the guest.
func Cont(ctx context.Context, m Monitor) error { return m.Do(ctx, "cont", nil, nil) }

// Quit asks QEMU to exit, and is content with a QEMU that is gone. It doesn't
// wait for the exit: see Monitor.Done.
func Quit(ctx context.Context, m Monitor) error {
	err := m.Do(ctx, "quit", nil, nil)
	if errors.Is(err, ErrGone) {
		return nil
	}
	return err
}

// ObjectAdd makes a QOM object. props may be nil and isn't changed.
func ObjectAdd(ctx context.Context, m Monitor, qomType, id string, props map[string]any) error {
	return m.Do(ctx, "object-add", with(props, "qom-type", qomType, id), nil)
}

// ObjectDel deletes a QOM object.
func ObjectDel(ctx context.Context, m Monitor, id string) error {
	return m.Do(ctx, "object-del", map[string]string{"id": id}, nil)
}

// DeviceAdd plugs a device. Success means that QEMU has it, not that the
// guest does. props may be nil and isn't changed.
func DeviceAdd(ctx context.Context, m Monitor, driver, id string, props map[string]any) error {
	return m.Do(ctx, "device_add", with(props, "driver", driver, id), nil)
}

// DeviceDel asks the guest to give a device back. Success means that it was
// asked; watch the events for its answer.
func DeviceDel(ctx context.Context, m Monitor, id string) error {
	return m.Do(ctx, "device_del", map[string]string{"id": id}, nil)
}

// with returns props with an id and one further key.
func with(props map[string]any, key, value, id string) map[string]any {
	args := map[string]any{}
	maps.Copy(args, props)
	args[key], args["id"] = value, id
	return args
}

// A MemoryDevice is a plugged DIMM or another memory device
// (qapi/machine.json MemoryDeviceInfo). Fields that its type doesn't have are
// zero.
type MemoryDevice struct {
	Type string `json:"type"` // "dimm", "nvdimm", "virtio-mem", ...
	Data struct {
		ID           string `json:"id"` // empty if it was given none
		Addr         uint64 `json:"addr"`
		Size         uint64 `json:"size"` // bytes
		Slot         int    `json:"slot"`
		Node         int    `json:"node"`
		MemDev       string `json:"memdev"` // QOM path of its backend
		Hotplugged   bool   `json:"hotplugged"`
		Hotpluggable bool   `json:"hotpluggable"`
	} `json:"data"`
}

// QueryMemoryDevices lists the plugged memory devices.
func QueryMemoryDevices(ctx context.Context, m Monitor) ([]MemoryDevice, error) {
	return query[[]MemoryDevice](ctx, m, "query-memory-devices")
}

// A HotpluggableCPU is a place for a vCPU or, on pseries, for a core
// (qapi/machine.json HotpluggableCPU).
type HotpluggableCPU struct {
	Type    string           `json:"type"` // driver for device_add
	VCPUs   int              `json:"vcpus-count"`
	QOMPath string           `json:"qom-path"` // empty while nothing is plugged
	Props   map[string]int64 `json:"props"`    // for device_add: "socket-id", "core-id", ...
}

// QueryHotpluggableCPUs lists all places, taken or free, in QEMU's order.
func QueryHotpluggableCPUs(ctx context.Context, m Monitor) ([]HotpluggableCPU, error) {
	return query[[]HotpluggableCPU](ctx, m, "query-hotpluggable-cpus")
}

// InjectNMI sends an NMI (pseries: a system reset interrupt) to the guest.
func InjectNMI(ctx context.Context, m Monitor) error { return m.Do(ctx, "inject-nmi", nil, nil) }

// SendBreak sends a serial BREAK through the character device of that id, the
// prefix of a SysRq letter on a serial console.
func SendBreak(ctx context.Context, m Monitor, chardev string) error {
	return m.Do(ctx, "chardev-send-break", map[string]string{"id": chardev}, nil)
}

// Human asks QEMU's human monitor, whose answers are for people only: their
// form is promised to nobody.
func Human(ctx context.Context, m Monitor, line string) (string, error) {
	var answer string
	err := m.Do(ctx, "human-monitor-command", map[string]string{"command-line": line}, &answer)
	return answer, err
}

func query[T any](ctx context.Context, m Monitor, command string) (T, error) {
	var reply T
	err := m.Do(ctx, command, nil, &reply)
	return reply, err
}
