// SPDX-License-Identifier: Apache-2.0

package op

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"plugstorm/guests"
	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
	"plugstorm/harness/vm/vmtest"
)

func addVCPU(i int) Spec    { return Spec{VCPUAdd, &vcpuAdd{CPU: i}} }
func removeVCPU(i int) Spec { return Spec{VCPURemove, &vcpuRemove{CPU: i}} }

// tcg gives a guest the defects of TCG in QEMU 10.
func tcg(s *vm.Spec) { s.Accel = vm.TCG }

func TestVCPUAdd(t *testing.T) {
	x86, pseries := guests.X8664, guests.PSeries
	online := func(t *testing.T, g *vmtest.Guest) {
		t.Helper()
		if want := map[int]bool{0: true, 1: true, 2: true, 3: true}; !maps.Equal(g.CPUs(), want) {
			t.Errorf("the guest's CPUs are %v, want all online", g.CPUs())
		}
		if want := []int{0, 1, 2, 3}; !slices.Equal(g.VCPUs(), want) {
			t.Errorf("QEMU's vCPUs are %v, want %v", g.VCPUs(), want)
		}
	}
	var attempts []attempt
	for _, m := range []struct {
		*vm.Machine
		before []Spec // so that vCPU 2 is absent and vCPU 3 present
	}{
		{x86, []Spec{removeVCPU(2)}},
		{pseries, []Spec{addVCPU(3)}},
	} {
		attempts = append(attempts, []attempt{
			{name: "done", machine: m.Machine, before: m.before, op: addVCPU(2), want: Done, after: online},
			{name: "plugged already", machine: m.Machine, before: m.before, op: addVCPU(3), want: Refused, party: blame.Kernel},
			{name: "no such slot", machine: m.Machine, before: m.before, op: addVCPU(64), want: Broken, party: blame.Harness},
			{name: "QEMU refuses", machine: m.Machine, before: m.before, then: command("device_add", refuseCommand), op: addVCPU(2), want: Refused},
			{name: "the guest doesn't react", machine: m.Machine, before: m.before, then: vmtest.Character{Plug: ignore}, op: addVCPU(2), want: Hung},
			{name: "the agent doesn't answer", machine: m.Machine, before: m.before, then: method(agent.MethodCPUs, silent), op: addVCPU(2), want: Hung},
			{name: "the agent's channel ends", machine: m.Machine, before: m.before, then: method(agent.MethodCPUs, hangUpAgent), op: addVCPU(2), want: Broken},
			{name: "QEMU dies of it", machine: m.Machine, before: m.before, then: command("device_add", dieAsked), op: addVCPU(2), want: Broken, is: qmp.ErrGone, party: blame.Hypervisor},
			{name: "QEMU dies after it", machine: m.Machine, before: m.before, then: vmtest.Character{Plug: die}, op: addVCPU(2), want: Broken, party: blame.Hypervisor},
		}...)
	}
	attempts = append(attempts,
		attempt{name: "the guest refuses", machine: x86, before: []Spec{removeVCPU(2)}, op: addVCPU(2), want: Refused, party: blame.Kernel,
			then: vmtest.Character{Plug: ost(qmp.OSTDeviceCheck, qmp.OSTFailure)}},
		attempt{name: "another one is refused", machine: x86, before: []Spec{removeVCPU(2)}, op: addVCPU(2), want: Done, after: online,
			then: vmtest.Character{Plug: func(g *vmtest.Guest, device string) {
				g.OST("vcpu3", qmp.OSTDeviceCheck, qmp.OSTFailure)
				g.OST(device, qmp.OSTEjectRequest, qmp.OSTEjectBusy)
				g.Take(device)
			}}},
		attempt{name: "it can't be brought online", machine: x86, before: []Spec{removeVCPU(2)}, op: addVCPU(2), want: Refused, party: blame.Kernel,
			then: method(agent.MethodSetCPU, errno("ENOMEM"))},
		attempt{name: "bringing it online is bounded", machine: x86, before: []Spec{removeVCPU(2)}, op: addVCPU(2), want: Done,
			then: method(agent.MethodSetCPU, insistOnLimit)},
		attempt{name: "it doesn't come online by itself", machine: pseries, op: addVCPU(2), want: Hung,
			then: method(agent.MethodCPUs, func(g *vmtest.Guest, _ json.RawMessage) (any, error) {
				return agent.CPUsReply{Present: g.VCPUs(), Online: []int{0, 1}}, nil
			})},
	)
	runAttempts(t, attempts)
}

// insistOnLimit answers a request that bounds its own time, and no other.
func insistOnLimit(_ *vmtest.Guest, raw json.RawMessage) (any, error) {
	var p struct {
		LimitMS int64 `json:"limit_ms"`
	}
	if err := json.Unmarshal(raw, &p); err != nil || p.LimitMS <= 0 {
		return nil, vmtest.ErrNoAnswer
	}
	return nil, nil
}

// TestVCPUNumbers: a guest that hasn't seen a vCPU at boot numbers it as it
// likes.
func TestVCPUNumbers(t *testing.T) {
	for _, tt := range []struct {
		before, now []int
		stable      bool
		want, got   int
	}{
		{[]int{0, 1}, []int{0, 1}, false, 3, -1},
		{[]int{0, 1}, []int{0, 1, 2}, false, 3, 2},
		{[]int{0, 1, 3}, []int{0, 1, 2, 3}, false, 3, 2},
		{[]int{0, 1}, []int{0, 1, 2}, true, 3, -1},
		{[]int{0, 1}, []int{0, 1, 2, 3}, true, 3, 3},
	} {
		if got := newCPU(tt.before, agent.CPUsReply{Present: tt.now}, tt.stable, tt.want); got != tt.got {
			t.Errorf("%v -> %v (stable %v): CPU %d, want %d", tt.before, tt.now, tt.stable, got, tt.got)
		}
	}
}

func TestVCPURemove(t *testing.T) {
	x86, pseries := guests.X8664, guests.PSeries
	gone := func(t *testing.T, g *vmtest.Guest) {
		t.Helper()
		if slices.Contains(g.VCPUs(), 2) || g.VM.Devices.Leaving() != 0 {
			t.Errorf("QEMU's vCPUs are %v, and %d devices are leaving", g.VCPUs(), g.VM.Devices.Leaving())
		}
	}
	unsent := func(t *testing.T, g *vmtest.Guest) {
		t.Helper()
		if slices.Contains(g.Log(), "device_del") {
			t.Error("QEMU was asked to")
		}
	}
	here := []Spec{addVCPU(2)}
	seven := func(s *vm.Spec) { s.Accel, s.Version = vm.TCG, vm.Version{Major: 7, Minor: 2} }
	guestError := func(g *vmtest.Guest, device string) {
		g.Emit(qmp.EventDeviceUnplugGuestError, map[string]string{"device": device, "path": "/machine/peripheral/" + device})
	}
	runAttempts(t, []attempt{
		// QEMU tells of the leaving of its local APIC alone, see vmtest.
		{name: "done", machine: x86, op: removeVCPU(2), want: Done, after: gone},
		{name: "done under TCG", machine: x86, change: tcg, op: removeVCPU(2), want: Done, after: gone},
		{name: "done", machine: pseries, before: here, op: removeVCPU(2), want: Done, after: gone},
		{name: "another one's APIC leaves", machine: x86, op: removeVCPU(2), want: Hung,
			then: vmtest.Character{Unplug: func(g *vmtest.Guest, _ string) {
				g.Emit(qmp.EventDeviceDeleted, map[string]string{"path": "/machine/peripheral/vcpu22/lapic"})
				g.Emit(qmp.EventDeviceDeleted, map[string]string{"path": "/machine/unattached/vcpu2"})
				g.Emit(qmp.EventDeviceDeleted, map[string]string{"device": "vcpu3", "path": "/machine/peripheral/vcpu2"})
			}}},
		{name: "not plugged", machine: pseries, op: removeVCPU(2), want: Refused, party: blame.Kernel, after: unsent},
		{name: "breaks this QEMU", machine: pseries, change: tcg, before: here, op: removeVCPU(2), want: Refused, after: unsent},
		{name: "breaks this QEMU", machine: x86, change: seven, op: removeVCPU(2), want: Refused, after: unsent},
		{name: "no such slot", machine: x86, op: removeVCPU(64), want: Broken, party: blame.Harness},
		{name: "QEMU refuses", machine: x86, then: command("device_del", refuseCommand), op: removeVCPU(2), want: Refused},
		{name: "the guest refuses", machine: x86, then: vmtest.Character{Unplug: ost(qmp.OSTEjectRequest, qmp.OSTEjectBusy)}, op: removeVCPU(2), want: Refused, party: blame.Kernel},
		{name: "the guest refuses", machine: pseries, before: here, then: vmtest.Character{Unplug: guestError}, op: removeVCPU(2), want: Refused, party: blame.Kernel},
		{name: "the guest doesn't react", machine: x86, then: vmtest.Character{Unplug: ignore}, op: removeVCPU(2), want: Hung},
		{name: "the guest doesn't react", machine: pseries, before: here, then: vmtest.Character{Unplug: ignore}, op: removeVCPU(2), want: Pending},
		{name: "QEMU dies of it", machine: x86, then: command("device_del", dieAsked), op: removeVCPU(2), want: Broken, is: qmp.ErrGone, party: blame.Hypervisor},
		{name: "QEMU dies after it", machine: x86, then: vmtest.Character{Unplug: die}, op: removeVCPU(2), want: Broken, is: qmp.ErrGone, party: blame.Hypervisor},
		{name: "QEMU doesn't answer", machine: x86, then: command("query-hotpluggable-cpus", silent), op: removeVCPU(2), want: Broken, party: blame.Hypervisor},
	})
}

// TestVCPUBudget: QEMU is never asked for the add that kills it.
func TestVCPUBudget(t *testing.T) {
	s := spec(guests.X8664)
	tcg(&s)
	withGuest(t, s, func(t *testing.T, g *vmtest.Guest) {
		limit := g.VM.Budget().VCPUAdds
		for range limit {
			for _, o := range []Spec{removeVCPU(2), addVCPU(2)} {
				attempt{op: o, want: Done}.check(t, g)
			}
		}
		attempt{op: removeVCPU(2), want: Done}.check(t, g)
		attempt{op: addVCPU(2), want: Refused, is: ErrSpent}.check(t, g)
		adds := 0
		for _, entry := range g.Log() {
			if entry == "device_add" {
				adds++
			}
		}
		if adds != limit {
			t.Errorf("QEMU was asked for %d vCPUs, its limit is %d", adds, limit)
		}
	})
}

// TestLateVCPU: a vCPU whose removal was pending has left before the next op
// wants it; nothing waits for it any more.
func TestLateVCPU(t *testing.T) {
	for _, next := range []attempt{
		{op: addVCPU(2), want: Done},
		{op: removeVCPU(2), want: Refused},
	} {
		t.Run(next.op.Kind.Name, func(t *testing.T) {
			withGuest(t, spec(guests.X8664), func(t *testing.T, g *vmtest.Guest) {
				g.Become(vmtest.Character{Unplug: ost(qmp.OSTEjectRequest, qmp.OSTEjectInProgress)})
				attempt{op: removeVCPU(2), want: Pending}.check(t, g)
				g.Become(vmtest.Character{})
				g.Release("vcpu2")
				next.check(t, g)
				if g.VM.Devices.Leaving() != 0 {
					t.Error("it is still leaving in our books")
				}
			})
		})
	}
}
