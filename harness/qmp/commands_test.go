// SPDX-License-Identifier: Apache-2.0

package qmp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
	"plugstorm/harness/qmp/qmptest"
)

// TestCommands compares what goes over the wire.
func TestCommands(t *testing.T) {
	props := map[string]any{"memdev": "m1", "node": 1, "slot": uint64(1) << 40}
	for want, send := range map[string]func(context.Context, qmp.Monitor) error{
		`stop `:       qmp.Stop,
		`cont `:       qmp.Cont,
		`quit `:       qmp.Quit,
		`inject-nmi `: qmp.InjectNMI,
		`object-add {"id":"m1","qom-type":"memory-backend-ram","size":134217728}`: func(ctx context.Context, m qmp.Monitor) error {
			return qmp.ObjectAdd(ctx, m, "memory-backend-ram", "m1", map[string]any{"size": 128 << 20})
		},
		`object-del {"id":"m1"}`: func(ctx context.Context, m qmp.Monitor) error { return qmp.ObjectDel(ctx, m, "m1") },
		`device_add {"driver":"pc-dimm","id":"d1","memdev":"m1","node":1,"slot":1099511627776}`: func(ctx context.Context, m qmp.Monitor) error {
			return qmp.DeviceAdd(ctx, m, "pc-dimm", "d1", props)
		},
		`device_add {"driver":"pc-dimm","id":"d1"}`: func(ctx context.Context, m qmp.Monitor) error {
			return qmp.DeviceAdd(ctx, m, "pc-dimm", "d1", nil)
		},
		`device_del {"id":"d1"}`: func(ctx context.Context, m qmp.Monitor) error { return qmp.DeviceDel(ctx, m, "d1") },
		`chardev-send-break {"id":"console"}`: func(ctx context.Context, m qmp.Monitor) error {
			return qmp.SendBreak(ctx, m, "console")
		},
	} {
		var got string
		c := dial(t, func(p *qmptest.Peer) error {
			return p.Serve(func(c qmptest.Command) (any, error) {
				got = fmt.Sprintf("%s %s", c.Execute, c.Arguments)
				return struct{}{}, nil
			})
		})
		if err := send(within(t, patience), c); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		c.Close()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if len(props) != 3 {
		t.Errorf("the caller's properties were changed: %v", props)
	}
}

func TestQuitIsContentWithDeath(t *testing.T) {
	c := dial(t, func(p *qmptest.Peer) error { _, err := p.Next(); return err })
	if err := qmp.Quit(within(t, patience), c); err != nil {
		t.Error(err)
	}
	stalled := dial(t, (*qmptest.Peer).Silence)
	checkError(t, qmp.Quit(within(t, brief), stalled), context.DeadlineExceeded, blame.Hypervisor)
}

// TestQueries parses replies of QEMU 10.0.2.
func TestQueries(t *testing.T) {
	replies := map[string]string{
		"query-status": `{"status": "prelaunch", "running": false}`,
		"query-memory-devices": `[{"data": {"memdev": "/objects/m1", "hotplugged": true, "addr": 4294967296,
			"hotpluggable": true, "size": 134217728, "slot": 0, "node": 1, "id": "d1"}, "type": "dimm"}]`,
		"query-hotpluggable-cpus": `[{"props": {"core-id": 0, "thread-id": 0, "socket-id": 1}, "vcpus-count": 1, "type": "qemu64-x86_64-cpu"},
			{"props": {"core-id": 8}, "vcpus-count": 1, "qom-path": "/machine/unattached/device[1]", "type": "power8_v2.0-spapr-cpu-core"}]`,
	}
	c := dial(t, func(p *qmptest.Peer) error {
		return p.Serve(func(c qmptest.Command) (any, error) { return json.RawMessage(replies[c.Execute]), nil })
	})
	ctx := within(t, patience)

	status, err := qmp.QueryStatus(ctx, c)
	if want := (qmp.Status{Status: "prelaunch"}); err != nil || status != want {
		t.Errorf("status is %+v, %v", status, err)
	}

	dimm := qmp.MemoryDevice{Type: "dimm"}
	dimm.Data.ID, dimm.Data.MemDev = "d1", "/objects/m1"
	dimm.Data.Addr, dimm.Data.Size, dimm.Data.Node = 4<<30, 128<<20, 1
	dimm.Data.Hotplugged, dimm.Data.Hotpluggable = true, true
	devices, err := qmp.QueryMemoryDevices(ctx, c)
	if diff := cmp.Diff([]qmp.MemoryDevice{dimm}, devices); err != nil || diff != "" {
		t.Error(err, diff)
	}

	cpus, err := qmp.QueryHotpluggableCPUs(ctx, c)
	want := []qmp.HotpluggableCPU{
		{Type: "qemu64-x86_64-cpu", VCPUs: 1, Props: map[string]int64{"socket-id": 1, "core-id": 0, "thread-id": 0}},
		{Type: "power8_v2.0-spapr-cpu-core", VCPUs: 1, QOMPath: "/machine/unattached/device[1]", Props: map[string]int64{"core-id": 8}},
	}
	if diff := cmp.Diff(want, cpus); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		want       any
	}{
		{qmp.EventACPIDeviceOST, `{"info": {"device": "d1", "source": 3, "status": 132, "slot": "0", "slot-type": "DIMM"}}`,
			qmp.ACPIDeviceOST{Device: "d1", Slot: "0", SlotType: "DIMM", Source: qmp.OSTEjectRequest, Status: qmp.OSTEjectInProgress}},
		{qmp.EventACPIDeviceOST, `{"info": {"source": 3, "status": 0, "slot": "1", "slot-type": "DIMM"}}`,
			qmp.ACPIDeviceOST{Slot: "1", SlotType: "DIMM", Source: 3, Status: qmp.OSTSuccess}},
		{qmp.EventDeviceDeleted, `{"device": "d1", "path": "/machine/peripheral/d1"}`,
			qmp.DeviceDeleted{Device: "d1", Path: "/machine/peripheral/d1"}},
		{qmp.EventDeviceUnplugGuestError, `{"device": "c1", "path": "/machine/peripheral/c1"}`,
			qmp.DeviceUnplugGuestError{Device: "c1", Path: "/machine/peripheral/c1"}},
		{qmp.EventMemUnplugError, `{"device": "d1", "msg": "acpi: device unplug request for unplugged memory"}`,
			qmp.MemUnplugError{Device: "d1", Msg: "acpi: device unplug request for unplugged memory"}},
		{qmp.EventShutdown, `{"guest": false, "reason": "host-qmp-quit"}`, qmp.Shutdown{Reason: "host-qmp-quit"}},
		{qmp.EventReset, `{"guest": true, "reason": "guest-reset"}`, qmp.Reset{Guest: true, Reason: "guest-reset"}},
		{qmp.EventGuestPanicked, `{"action": "pause", "info": {"type": "hyper-v"}}`,
			qmp.GuestPanicked{Action: "pause", Info: json.RawMessage(`{"type": "hyper-v"}`)}},
		{"RTC_CHANGE", `{"offset": 78}`, nil},
	} {
		got, err := qmp.Event{Name: tt.name, Data: json.RawMessage(tt.data)}.Decode()
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Error(tt.name, err, diff)
		}
	}
}

func TestDecodeMalformed(t *testing.T) {
	for _, e := range []qmp.Event{
		{Name: qmp.EventACPIDeviceOST, Data: json.RawMessage(`{}`)},
		{Name: qmp.EventACPIDeviceOST, Data: json.RawMessage(`{"info": {"status": "0"}}`)},
		{Name: qmp.EventDeviceDeleted},
		{Name: qmp.EventShutdown, Data: json.RawMessage(`[]`)},
	} {
		if v, err := e.Decode(); blame.Of(err) != blame.Hypervisor || v != nil {
			t.Errorf("%s %s: %v, %v", e.Name, e.Data, v, err)
		}
	}
}
