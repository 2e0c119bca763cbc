// SPDX-License-Identifier: Apache-2.0

package vmtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"plugstorm/harness/qmp"
	"plugstorm/harness/qmp/qmptest"
	"plugstorm/harness/vm"
)

// qemu is what QEMU knows.
type qemu struct {
	machine *vm.Machine
	paused  bool
	objects map[string]uint64 // memory backends: their sizes
	dimms   map[string]dimm
	vcpus   map[int]bool // present
	next    uint64       // address of the next DIMM
}

type dimm struct {
	addr, size uint64
	memdev     string
	slot       int
}

// dimmBase is where DIMMs go: q35 has them above 4 GiB.
const dimmBase = 4 << 30

func newQEMU(m *vm.Machine) qemu {
	q := qemu{machine: m, objects: map[string]uint64{}, dimms: map[string]dimm{}, vcpus: map[int]bool{}, next: dimmBase}
	for i := range m.VCPU.Boot {
		q.vcpus[i] = true
	}
	if m.VCPU.ColdPlugged {
		for i := range m.VCPU.Plug {
			q.vcpus[m.VCPU.Boot+i] = true
		}
	}
	return q
}

func (g *Guest) serveMonitor() {
	if g.wires.peer.Greet() != nil {
		return
	}
	for {
		c, err := g.wires.peer.Next()
		if err != nil {
			return
		}
		if !strings.HasPrefix(c.Execute, "query-") {
			g.note(c.Execute)
		}
		value, then, err := g.command(c)
		g.reply(c, value, err)
		if then != nil {
			then()
		}
	}
}

// reply answers a command. A monitor that is gone takes no answer.
func (g *Guest) reply(c qmptest.Command, value any, err error) {
	g.wires.monitor.Lock()
	defer g.wires.monitor.Unlock()
	var refusal *qmp.Error
	switch {
	case errors.As(err, &refusal):
		_ = g.wires.peer.Refuse(c, refusal.Class, refusal.Desc)
	case errors.Is(err, ErrNoAnswer):
	case err != nil:
		panic(err) // a test's handler is wrong
	default:
		_ = g.wires.peer.Return(c, value)
	}
}

// emit sends an event. A monitor that is gone gets none.
func (g *Guest) emit(name string, data any) {
	g.wires.monitor.Lock()
	defer g.wires.monitor.Unlock()
	_ = g.wires.peer.Emit(name, data)
}

// command does a command. then is what follows QEMU's answer.
func (g *Guest) command(c qmptest.Command) (value any, then func(), err error) {
	if handler := g.now().Commands[c.Execute]; handler != nil {
		value, err = handler(g, c.Arguments)
		return value, nil, err
	}
	var args struct {
		ID     string `json:"id"`
		Driver string `json:"driver"`
		MemDev string `json:"memdev"`
		Size   uint64 `json:"size"`
		Slot   *int   `json:"slot"`
		URI    string `json:"uri"`
	}
	if len(c.Arguments) > 0 {
		if err := json.Unmarshal(c.Arguments, &args); err != nil {
			return nil, nil, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	q := &g.qemu
	switch c.Execute {
	case "object-add":
		return nothing, nil, q.addObject(args.ID, args.Size)
	case "object-del":
		return nothing, nil, q.deleteObject(args.ID)
	case "device_add":
		if err := q.addDevice(args.Driver, args.ID, args.MemDev, args.Slot); err != nil {
			return nil, nil, err
		}
		return nothing, func() { g.plugged(args.ID) }, nil
	case "device_del":
		if !q.has(args.ID) {
			return nil, nil, refuse("DeviceNotFound", "Device '%s' not found", args.ID)
		}
		return nothing, func() { g.askedBack(args.ID) }, nil
	case "stop", "cont":
		q.paused = c.Execute == "stop"
		return nothing, nil, nil
	case "human-monitor-command":
		return inService, nil, nil
	case "migrate-set-capabilities", "migrate-set-parameters":
		return nothing, nil, nil
	case "migrate":
		return nothing, func() { g.migrate(args.URI) }, nil
	case "quit":
		return nothing, func() { g.Die("exit status 0", "") }, nil
	default:
		value, err = q.query(c.Execute)
		return value, nil, err
	}
}

var nothing = struct{}{}

// inService is what QEMU says of a pseries CPU in the middle of an external
// interrupt ("info pic").
const inService = "CPU 0 XIRR=05000000 ((nil)) PP=ff MFRR=ff\r\n"

func refuse(class, format string, args ...any) error {
	return &qmp.Error{Class: class, Desc: fmt.Sprintf(format, args...)}
}

func (q *qemu) addObject(id string, size uint64) error {
	if _, taken := q.objects[id]; taken {
		return refuse("GenericError", "attempt to add duplicate property '%s' to object (type 'container')", id)
	}
	q.objects[id] = size
	return nil
}

func (q *qemu) deleteObject(id string) error {
	if _, there := q.objects[id]; !there {
		return refuse("GenericError", "object '%s' not found", id)
	}
	for _, d := range q.dimms {
		if d.memdev == id {
			return refuse("GenericError", "object '%s' is in use, can not be deleted", id)
		}
	}
	delete(q.objects, id)
	return nil
}

func (q *qemu) addDevice(driver, id, memdev string, slot *int) error {
	if q.has(id) {
		return refuse("GenericError", "Duplicate device ID '%s'", id)
	}
	if driver != "pc-dimm" {
		q.vcpus[number(id)] = true
		return nil
	}
	size, there := q.objects[memdev]
	if !there {
		return refuse("DeviceNotFound", "Device '%s' not found", memdev)
	}
	free := q.freeSlot()
	if slot == nil {
		slot = &free
	}
	for other, d := range q.dimms {
		if d.slot == *slot {
			return refuse("GenericError", "slot %d is busy: %s", *slot, other)
		}
	}
	q.dimms[id] = dimm{addr: q.next, size: size, memdev: memdev, slot: *slot}
	q.next += size
	return nil
}

func (q *qemu) freeSlot() int {
	used := map[int]bool{}
	for _, d := range q.dimms {
		used[d.slot] = true
	}
	n := 0
	for used[n] {
		n++
	}
	return n
}

func (q *qemu) has(id string) bool {
	_, there := q.dimms[id]
	return there || q.vcpus[number(id)]
}

// number is the number of a vCPU, -1 for another device.
func number(id string) int {
	n := -1
	_, _ = fmt.Sscanf(id, "vcpu%d", &n)
	return n
}

func (q *qemu) query(command string) (any, error) {
	switch command {
	case "query-status":
		if q.paused {
			return qmp.Status{Status: "paused"}, nil
		}
		return qmp.Status{Status: "running", Running: true}, nil
	case "query-memory-devices":
		devices := []qmp.MemoryDevice{}
		for _, id := range slices.Sorted(maps.Keys(q.dimms)) {
			d := qmp.MemoryDevice{Type: "dimm"}
			d.Data.ID, d.Data.Addr, d.Data.Size, d.Data.Slot = id, q.dimms[id].addr, q.dimms[id].size, q.dimms[id].slot
			devices = append(devices, d)
		}
		return devices, nil
	case "query-hotpluggable-cpus":
		slots := []qmp.HotpluggableCPU{}
		for i := range q.machine.VCPU.Max {
			slot := qmp.HotpluggableCPU{Type: "fake-cpu", VCPUs: 1, Props: map[string]int64{q.machine.VCPU.Key: int64(i)}}
			if q.vcpus[i] {
				slot.QOMPath = "/machine/peripheral/" + vm.VCPUID(i)
			}
			slots = append(slots, slot)
		}
		slices.Reverse(slots) // as QEMU lists them
		return slots, nil
	default:
		return nil, refuse("CommandNotFound", "The command %s has not been found", command)
	}
}

func (g *Guest) plugged(device string) {
	if plug := g.now().Plug; plug != nil {
		plug(g, device)
	} else {
		g.Take(device)
	}
}

func (g *Guest) askedBack(device string) {
	if unplug := g.now().Unplug; unplug != nil {
		unplug(g, device)
	} else {
		g.Release(device)
	}
}

// Take is what a healthy kernel does about a device that has come.
func (g *Guest) Take(device string) {
	g.mu.Lock()
	if d, ok := g.qemu.dimms[device]; ok {
		g.kernel.addMemory(d.addr, d.size)
	} else {
		g.kernel.addCPU(number(device))
	}
	g.mu.Unlock()
	g.OST(device, qmp.OSTDeviceCheck, qmp.OSTSuccess)
}

// Release is what a healthy kernel does about a device that is asked back,
// and what QEMU does then.
func (g *Guest) Release(device string) {
	slotType, slot := g.slot(device)
	g.OST(device, qmp.OSTEjectRequest, qmp.OSTEjectInProgress)
	g.Forget(device)
	g.answer(qmp.ACPIDeviceOST{SlotType: slotType, Slot: slot, Source: qmp.OSTEjectRequest, Status: qmp.OSTSuccess}) // it has no name any more
}

// Forget makes a device leave the kernel and QEMU.
func (g *Guest) Forget(device string) {
	g.mu.Lock()
	d, isDIMM := g.qemu.dimms[device]
	if isDIMM {
		g.kernel.removeMemory(d.addr, d.size)
		delete(g.qemu.dimms, device)
	} else {
		g.kernel.removeCPU(number(device))
		delete(g.qemu.vcpus, number(device))
	}
	g.mu.Unlock()
	path := "/machine/peripheral/" + device
	if g.acpi() && !isDIMM { // the vCPU itself goes without an event (seen with QEMU 10.0.2)
		g.emit(qmp.EventDeviceDeleted, map[string]string{"path": path + "/lapic"})
	} else {
		g.emit(qmp.EventDeviceDeleted, map[string]string{"device": device, "path": path})
	}
}

// OST sends the kernel's answer about a device, if the machine speaks ACPI.
func (g *Guest) OST(device string, source, status int64) {
	slotType, slot := g.slot(device)
	g.answer(qmp.ACPIDeviceOST{Device: device, SlotType: slotType, Slot: slot, Source: source, Status: status})
}

func (g *Guest) answer(info qmp.ACPIDeviceOST) {
	if g.acpi() {
		g.emit(qmp.EventACPIDeviceOST, map[string]any{"info": info})
	}
}

// slot is where a device is.
func (g *Guest) slot(device string) (slotType, slot string) {
	if n := number(device); n >= 0 {
		return "CPU", strconv.Itoa(n)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return "DIMM", strconv.Itoa(g.qemu.dimms[device].slot)
}

func (g *Guest) acpi() bool { return g.qemu.machine.DIMM.AddEvent != "" }

// Emit sends an event of QEMU's.
func (g *Guest) Emit(name string, data any) { g.emit(name, data) }

// DIMMs lists the DIMMs that QEMU has, and the memory backends.
func (g *Guest) DIMMs() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	names := slices.AppendSeq(slices.Collect(maps.Keys(g.qemu.dimms)), maps.Keys(g.qemu.objects))
	slices.Sort(names)
	return names
}

// VCPUs lists the vCPUs that QEMU has.
func (g *Guest) VCPUs() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.qemu.vcpus))
}
