// SPDX-License-Identifier: Apache-2.0

package op

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"plugstorm/guests"
	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
	"plugstorm/harness/vm/vmtest"
)

func addDIMM(id string) Spec    { return Spec{DIMMAdd, &dimmAdd{ID: id, MiB: 512, Node: 1}} }
func removeDIMM(id string) Spec { return Spec{DIMMRemove, &dimmRemove{ID: id}} }

// plugged checks which DIMMs QEMU has, and which memory backends.
func plugged(want ...string) func(*testing.T, *vmtest.Guest) {
	return func(t *testing.T, g *vmtest.Guest) {
		t.Helper()
		if got := g.DIMMs(); !slices.Equal(got, want) {
			t.Errorf("QEMU has %v, want %v", got, want)
		}
	}
}

// keepPending leaves a DIMM's removal pending.
func keepPending(t *testing.T, g *vmtest.Guest, id string) {
	t.Helper()
	g.Become(vmtest.Character{Unplug: ost(qmp.OSTEjectRequest, qmp.OSTEjectInProgress)})
	attempt{op: removeDIMM(id), want: Pending}.check(t, g)
}

func TestDIMMAdd(t *testing.T) {
	x86, pseries := guests.X8664, guests.PSeries
	var attempts []attempt
	for _, m := range machines {
		attempts = append(attempts, []attempt{
			{name: "done", machine: m, op: addDIMM("dimm0"), want: Done, after: func(t *testing.T, g *vmtest.Guest) {
				plugged("dimm0", "mem-dimm0")(t, g)
				if r, ok := g.VM.Devices.DIMM("dimm0"); !ok || r != (vm.Range{Start: 4 << 30, Size: 512 << 20}) {
					t.Errorf("it is noted at %+v, %v", r, ok)
				}
				if got, want := len(g.Blocks()), 512/m.DIMM.UnitMiB; got != want {
					t.Errorf("the guest has %d blocks, want %d", got, want)
				}
			}},
			{name: "plugged already", machine: m, before: []Spec{addDIMM("dimm0")}, op: addDIMM("dimm0"), want: Refused, party: blame.Kernel},
			{name: "QEMU refuses the backend", machine: m, then: command("object-add", refuseCommand), op: addDIMM("dimm0"), want: Refused, after: plugged()},
			{name: "QEMU refuses the device", machine: m, then: command("device_add", refuseCommand), op: addDIMM("dimm0"), want: Refused, after: plugged()},
			{name: "the guest doesn't react", machine: m, then: vmtest.Character{Plug: ignore}, op: addDIMM("dimm0"), want: Hung,
				after: plugged("dimm0", "mem-dimm0")},
			{name: "the memory stays offline", machine: m, op: addDIMM("dimm0"), want: Refused,
				then: method(agent.MethodMemory, func(_ *vmtest.Guest, raw json.RawMessage) (any, error) {
					return agent.MemoryReply{Present: true, Blocks: []agent.Block{{State: "online"}, {State: "offline"}}}, nil
				})},
			{name: "the memory stays offline, rightly", machine: m, change: func(s *vm.Spec) { s.AutoOnline = false }, op: addDIMM("dimm0"), want: Done,
				after: func(t *testing.T, g *vmtest.Guest) {
					if slices.Contains(g.Blocks(), true) {
						t.Error("this guest should not have brought anything online")
					}
				}},
			{name: "the agent doesn't answer", machine: m, then: method(agent.MethodMemory, silent), op: addDIMM("dimm0"), want: Hung},
			{name: "QEMU dies of it", machine: m, then: command("device_add", dieAsked), op: addDIMM("dimm0"), want: Broken, is: qmp.ErrGone, party: blame.Hypervisor},
			{name: "QEMU dies after it", machine: m, then: vmtest.Character{Plug: die}, op: addDIMM("dimm0"), want: Broken, party: blame.Hypervisor},
			{name: "the agent's channel ends", machine: m, then: method(agent.MethodMemory, hangUpAgent), op: addDIMM("dimm0"), want: Broken, party: blame.Hypervisor},
			{name: "QEMU doesn't answer", machine: m, then: command("device_add", silent), op: addDIMM("dimm0"), want: Broken, party: blame.Hypervisor},
			{name: "QEMU forgets it", machine: m, op: addDIMM("dimm0"), want: Broken, party: blame.Hypervisor,
				then: command("query-memory-devices", func(*vmtest.Guest, json.RawMessage) (any, error) { return []int{}, nil })},
			{name: "added, removed and added", machine: m, before: []Spec{addDIMM("dimm0"), removeDIMM("dimm0"), addDIMM("dimm1")}, op: addDIMM("dimm0"), want: Done,
				after: plugged("dimm0", "dimm1", "mem-dimm0", "mem-dimm1")},
		}...)
	}
	attempts = append(attempts,
		attempt{name: "the guest refuses", machine: x86, then: vmtest.Character{Plug: ost(qmp.OSTDeviceCheck, qmp.OSTFailure)}, op: addDIMM("dimm0"), want: Refused, party: blame.Kernel,
			after: func(t *testing.T, g *vmtest.Guest) { // QEMU has it, so it can be removed
				g.Become(vmtest.Character{})
				attempt{op: removeDIMM("dimm0"), want: Done}.check(t, g)
			}},
		attempt{name: "the guest refuses and keeps the memory", machine: x86, then: vmtest.Character{Plug: ost(qmp.OSTDeviceCheck, qmp.OSTFailure)}, op: addDIMM("dimm0"), want: Refused,
			after: func(t *testing.T, g *vmtest.Guest) { // and no driver has it until its blocks are bound
				for _, bound := range []bool{false, true} {
					g.Become(method(agent.MethodMemory, func(*vmtest.Guest, json.RawMessage) (any, error) {
						return agent.MemoryReply{Present: true, Blocks: []agent.Block{{ID: 32, State: "online", Bound: true}, {ID: 33, State: "online", Bound: bound}}}, nil
					}))
					attempt{op: removeDIMM("dimm0"), want: map[bool]Outcome{false: Refused, true: Done}[bound]}.check(t, g)
				}
			}},
		attempt{name: "an answer to an earlier removal", machine: x86, op: addDIMM("dimm0"), want: Done,
			then: vmtest.Character{Plug: func(g *vmtest.Guest, device string) {
				g.OST(device, qmp.OSTEjectRequest, qmp.OSTEjectBusy)
				g.OST("dimm7", qmp.OSTDeviceCheck, qmp.OSTFailure)
				g.Take(device)
			}}},
		attempt{name: "an answer without the memory", machine: x86, then: vmtest.Character{Plug: ost(qmp.OSTDeviceCheck, qmp.OSTSuccess)}, op: addDIMM("dimm0"), want: Hung},
		attempt{name: "a garbled answer", machine: x86, op: addDIMM("dimm0"), want: Broken, party: blame.Hypervisor,
			then: vmtest.Character{Plug: func(g *vmtest.Guest, _ string) { g.Emit(qmp.EventACPIDeviceOST, []int{1}) }}},
		attempt{name: "memory without an answer", machine: pseries, op: addDIMM("dimm0"), want: Done,
			after: func(t *testing.T, g *vmtest.Guest) {
				if g.VM.Devices.Leaving() != 0 {
					t.Error("something is leaving")
				}
			}},
	)
	runAttempts(t, attempts)
}

func TestDIMMRemove(t *testing.T) {
	x86, pseries := guests.X8664, guests.PSeries
	here := []Spec{addDIMM("dimm0")}
	stays := plugged("dimm0", "mem-dimm0")
	refusal := func(name string, data func(device string) any) func(*vmtest.Guest, string) {
		return func(g *vmtest.Guest, device string) { g.Emit(name, data(device)) }
	}
	memUnplugError := refusal(qmp.EventMemUnplugError, func(device string) any {
		return map[string]string{"device": device, "msg": "Memory hotunplug rejected by the guest"}
	})
	guestError := refusal(qmp.EventDeviceUnplugGuestError, func(device string) any {
		return map[string]string{"device": device, "path": "/machine/peripheral/" + device}
	})
	leaving := func(want int) func(*testing.T, *vmtest.Guest) {
		return func(t *testing.T, g *vmtest.Guest) {
			t.Helper()
			stays(t, g)
			if got := g.VM.Devices.Leaving(); got != want {
				t.Errorf("%d devices are leaving, want %d", got, want)
			}
		}
	}
	var attempts []attempt
	for _, m := range machines {
		attempts = append(attempts, []attempt{
			{name: "done", machine: m, before: here, op: removeDIMM("dimm0"), want: Done, after: func(t *testing.T, g *vmtest.Guest) {
				plugged()(t, g)
				if _, there := g.VM.Devices.DIMM("dimm0"); there || g.VM.Devices.Leaving() != 0 {
					t.Error("our books still have it")
				}
			}},
			{name: "not plugged", machine: m, op: removeDIMM("dimm0"), want: Refused, party: blame.Kernel},
			{name: "QEMU refuses", machine: m, before: here, then: command("device_del", refuseCommand), op: removeDIMM("dimm0"), want: Refused, after: leaving(0)},
			{name: "MEM_UNPLUG_ERROR", machine: m, before: here, then: vmtest.Character{Unplug: memUnplugError}, op: removeDIMM("dimm0"), want: Refused, party: blame.Kernel, after: leaving(0)},
			{name: "DEVICE_UNPLUG_GUEST_ERROR", machine: m, before: here, then: vmtest.Character{Unplug: guestError}, op: removeDIMM("dimm0"), want: Refused, party: blame.Kernel, after: leaving(0)},
			{name: "QEMU dies of it", machine: m, before: here, then: command("device_del", dieAsked), op: removeDIMM("dimm0"), want: Broken, is: qmp.ErrGone, party: blame.Hypervisor},
			{name: "QEMU dies after it", machine: m, before: here, then: vmtest.Character{Unplug: die}, op: removeDIMM("dimm0"), want: Broken, is: qmp.ErrGone, party: blame.Hypervisor},
			{name: "the backend stays", machine: m, before: here, then: command("object-del", refuseCommand), op: removeDIMM("dimm0"), want: Broken},
		}...)
	}
	inProgress := ost(qmp.OSTEjectRequest, qmp.OSTEjectInProgress)
	attempts = append(attempts,
		attempt{name: "refused with a status", machine: x86, before: here, then: vmtest.Character{Unplug: ost(qmp.OSTEjectRequest, qmp.OSTEjectInUse)}, op: removeDIMM("dimm0"), want: Refused, after: leaving(0)},
		attempt{name: "refused after a while", machine: x86, before: here, op: removeDIMM("dimm0"), want: Refused, after: leaving(0),
			then: vmtest.Character{Unplug: func(g *vmtest.Guest, device string) {
				inProgress(g, device)
				g.OST(device, qmp.OSTEjectRequest, qmp.OSTFailure)
			}}},
		attempt{name: "the guest ejects by itself", machine: x86, before: here, op: removeDIMM("dimm0"), want: Refused,
			then: vmtest.Character{Unplug: ost(qmp.OSTOSPMEject, qmp.OSTEjectBusy)}},
		attempt{name: "in progress for ever", machine: x86, before: here, then: vmtest.Character{Unplug: inProgress}, op: removeDIMM("dimm0"), want: Pending, party: blame.Kernel, after: leaving(1)},
		attempt{name: "never acknowledged", machine: x86, before: here, then: vmtest.Character{Unplug: ignore}, op: removeDIMM("dimm0"), want: Hung, after: leaving(1)},
		attempt{name: "never answered", machine: pseries, before: here, then: vmtest.Character{Unplug: ignore}, op: removeDIMM("dimm0"), want: Pending, after: leaving(1)},
		attempt{name: "another one is refused", machine: x86, before: here, op: removeDIMM("dimm0"), want: Pending,
			then: vmtest.Character{Unplug: func(g *vmtest.Guest, device string) {
				guestError(g, "dimm1")
				inProgress(g, device)
				g.OST("dimm1", qmp.OSTEjectRequest, qmp.OSTEjectInUse)
			}}},
	)
	runAttempts(t, attempts)
}

// TestBehindAPendingRemoval: who waits behind a removal that is pending isn't hung.
func TestBehindAPendingRemoval(t *testing.T) {
	for _, m := range machines {
		for _, waiting := range []Spec{addDIMM("dimm1"), removeDIMM("dimm2"), addVCPU(3), removeVCPU(2)} {
			t.Run(m.Name+"/"+waiting.Kind.Name, func(t *testing.T) {
				withGuest(t, spec(m), func(t *testing.T, g *vmtest.Guest) {
					for _, s := range []Spec{addDIMM("dimm0"), addDIMM("dimm2"), removeVCPU(3), addVCPU(2)} {
						outcome, err := try(t.Context(), s.Kind, s.Op, g.VM)
						if outcome != Done && outcome != Refused { // a vCPU may be there or not at boot
							t.Fatalf("%s: %s: %v", s.Kind.Name, outcome, err)
						}
					}
					keepPending(t, g, "dimm0")
					g.Become(vmtest.Character{Plug: ignore, Unplug: ignore})
					attempt{op: waiting, want: Pending}.check(t, g)
				})
			})
		}
	}
}

// TestLateDeparture: a DIMM whose removal was pending has left before the next
// op wants it.
func TestLateDeparture(t *testing.T) {
	for _, m := range machines {
		for _, tt := range []struct {
			next Spec
			want Outcome
			left []string
		}{
			{addDIMM("dimm0"), Done, []string{"dimm0", "mem-dimm0"}},
			{removeDIMM("dimm0"), Refused, nil},
		} {
			t.Run(m.Name+"/"+tt.next.Kind.Name, func(t *testing.T) {
				withGuest(t, spec(m), func(t *testing.T, g *vmtest.Guest) {
					attempt{op: addDIMM("dimm0"), want: Done}.check(t, g)
					keepPending(t, g, "dimm0")
					g.Become(vmtest.Character{})
					g.Release("dimm0")
					plugged("mem-dimm0")(t, g)
					attempt{op: tt.next, want: tt.want}.check(t, g)
					plugged(tt.left...)(t, g)
					if g.VM.Devices.Leaving() != 0 {
						t.Error("it is still leaving in our books")
					}
				})
			})
		}
	}
}

// TestStillPending: a DIMM whose removal is pending is neither added nor
// forgotten.
func TestStillPending(t *testing.T) {
	withGuest(t, spec(guests.X8664), func(t *testing.T, g *vmtest.Guest) {
		attempt{op: addDIMM("dimm0"), want: Done}.check(t, g)
		keepPending(t, g, "dimm0")
		attempt{op: addDIMM("dimm0"), want: Refused}.check(t, g)
		if !g.VM.Devices.IsLeaving("dimm0") {
			t.Error("our books have forgotten that it is leaving")
		}
		g.Become(vmtest.Character{})
		attempt{op: removeDIMM("dimm0"), want: Done}.check(t, g) // the guest has thought better of it
		plugged()(t, g)
	})
}

// TestSlots: a DIMM's slot is its own, so no other lane's removal is in it.
func TestSlots(t *testing.T) {
	withGuest(t, spec(guests.X8664), func(t *testing.T, g *vmtest.Guest) {
		want := map[string]int{"dimm3": 3, "dimm0": 0, "dimm12": 12}
		for id := range want {
			attempt{op: addDIMM(id), want: Done}.check(t, g)
		}
		devices, err := qmp.QueryMemoryDevices(t.Context(), g.VM.Monitor)
		if err != nil || len(devices) != len(want) {
			t.Fatalf("%d DIMMs, %v", len(devices), err)
		}
		for _, d := range devices {
			if d.Data.Slot != want[d.Data.ID] {
				t.Errorf("%s is in slot %d", d.Data.ID, d.Data.Slot)
			}
		}
	})
}

// TestSettling: a removal is done when the guest is through with the slot, and
// not when QEMU is through with the device.
func TestSettling(t *testing.T) {
	last := func(slot string) any {
		return map[string]any{"info": qmp.ACPIDeviceOST{SlotType: "DIMM", Slot: slot, Source: qmp.OSTEjectRequest, Status: qmp.OSTSuccess}}
	}
	for _, tt := range []struct {
		name string
		then func(*vmtest.Guest)
		took time.Duration
	}{
		{"at once", func(g *vmtest.Guest) { g.Emit(qmp.EventACPIDeviceOST, last("1")) }, 0},
		{"after a second", func(g *vmtest.Guest) {
			time.AfterFunc(time.Second, func() { g.Emit(qmp.EventACPIDeviceOST, last("1")) })
		}, time.Second},
		{"never", func(*vmtest.Guest) {}, settleLimit},
		{"another slot", func(g *vmtest.Guest) { g.Emit(qmp.EventACPIDeviceOST, last("0")) }, settleLimit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withGuest(t, spec(guests.X8664), func(t *testing.T, g *vmtest.Guest) {
				attempt{op: addDIMM("dimm1"), want: Done}.check(t, g)
				g.Become(vmtest.Character{Unplug: func(g *vmtest.Guest, device string) {
					g.OST(device, qmp.OSTEjectRequest, qmp.OSTEjectInProgress)
					g.Forget(device)
					tt.then(g)
				}})
				start := time.Now()
				attempt{op: removeDIMM("dimm1"), want: Done}.check(t, g)
				if took := time.Since(start); took != tt.took {
					t.Errorf("it took %s, want %s", took, tt.took)
				}
				plugged()(t, g)
			})
		})
	}
}
