// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"plugstorm/guests"
	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
	"plugstorm/harness/vm/vmtest"
)

func setBlock(kind *Kind, index int, via, value string) Spec {
	return Spec{kind, &blockSet{Block: Block{DIMM: "dimm0", Index: index}, Via: via, Value: value}}
}

// legitimate are the errnos with which a kernel refuses legitimately, all
// others are a defect of somebody's.
var legitimate = []string{"EBUSY", "EINVAL", "EINTR", "ENOENT", "ENOMEM", "EAGAIN", "ENODEV"}

func TestBlocks(t *testing.T) {
	here := []Spec{addDIMM("dimm0")}
	offline := setBlock(BlockOffline, 1, "state", "offline")
	states := func(m int, offline ...int) func(*testing.T, *vmtest.Guest) {
		return func(t *testing.T, g *vmtest.Guest) {
			t.Helper()
			for i, online := range g.Blocks() {
				if online == slices.Contains(offline, i) {
					t.Errorf("block %d is online: %v", i, online)
				}
			}
			if len(g.Blocks()) != m {
				t.Errorf("the guest has %d blocks, want %d", len(g.Blocks()), m)
			}
		}
	}
	var attempts []attempt
	for _, m := range machines {
		n := 512 / m.DIMM.UnitMiB
		attempts = append(attempts, []attempt{
			{name: "offline by state", machine: m, before: here, op: offline, want: Done, after: states(n, 1)},
			{name: "offline by online", machine: m, before: here, op: setBlock(BlockOffline, 0, "online", "0"), want: Done, after: states(n, 0)},
			{name: "online by state", machine: m, before: append(here, offline), op: setBlock(BlockOnline, 1, "state", "online_movable"), want: Done, after: states(n)},
			{name: "online by online", machine: m, before: append(here, offline), op: setBlock(BlockOnline, 1, "online", "1"), want: Done, after: states(n)},
			{name: "online for the kernel", machine: m, before: append(here, offline), op: setBlock(BlockOnlineKernel, 1, "state", "online_kernel"), want: Done, after: states(n)},
			{name: "no such DIMM", machine: m, op: offline, want: Refused, party: blame.Kernel},
			{name: "no such block", machine: m, before: here, op: setBlock(BlockOffline, 9, "state", "offline"), want: Refused, party: blame.Kernel, after: unheard(agent.MethodSetBlock)},
			{name: "strange error", machine: m, before: here, then: method(agent.MethodSetBlock, errno("EIO")), op: offline, want: Broken},
			{name: "error of the agent's", machine: m, before: here, then: method(agent.MethodSetBlock, errno("")), op: offline, want: Broken},
			{name: "no answer", machine: m, before: here, then: method(agent.MethodSetBlock, silent), op: offline, want: Hung},
			{name: "bounded", machine: m, before: here, then: method(agent.MethodSetBlock, insistOnLimit), op: offline, want: Done},
			{name: "the agent's channel ends", machine: m, before: here, then: method(agent.MethodSetBlock, hangUpAgent), op: offline, want: Broken},
			{name: "QEMU dies", machine: m, before: here, then: method(agent.MethodSetBlock, dieAsked), op: offline, want: Broken, party: blame.Hypervisor},
		}...)
	}
	for _, name := range legitimate {
		attempts = append(attempts, attempt{name: name, machine: guests.X8664, before: here,
			then: method(agent.MethodSetBlock, errno(name)), op: offline, want: Refused, party: blame.Kernel})
	}
	runAttempts(t, attempts)
}

// unheard insists that the guest was never asked.
func unheard(method string) func(*testing.T, *vmtest.Guest) {
	return func(t *testing.T, g *vmtest.Guest) {
		t.Helper()
		if slices.Contains(g.Log(), method) {
			t.Errorf("the guest was asked for %s", method)
		}
	}
}

func TestCPUs(t *testing.T) {
	offline, online := Spec{CPUOffline, &cpuSet{CPU: 1}}, Spec{CPUOnline, &cpuSet{CPU: 1, Online: true}}
	is := func(want bool) func(*testing.T, *vmtest.Guest) {
		return func(t *testing.T, g *vmtest.Guest) {
			t.Helper()
			if got := g.CPUs()[1]; got != want {
				t.Errorf("CPU 1 is online: %v, want %v", got, want)
			}
		}
	}
	attempts := []attempt{
		{name: "no such CPU", machine: guests.PSeries, op: Spec{CPUOffline, &cpuSet{CPU: 9}}, want: Refused},
		{name: "strange error", machine: guests.PSeries, then: method(agent.MethodSetCPU, errno("EIO")), op: offline, want: Broken},
		{name: "no answer", machine: guests.PSeries, then: method(agent.MethodSetCPU, silent), op: offline, want: Hung},
		{name: "bounded", machine: guests.PSeries, then: method(agent.MethodSetCPU, insistOnLimit), op: offline, want: Done},
		{name: "the agent's channel ends", machine: guests.PSeries, then: method(agent.MethodSetCPU, hangUpAgent), op: offline, want: Broken},
		{name: "QEMU dies", machine: guests.PSeries, then: method(agent.MethodSetCPU, dieAsked), op: offline, want: Broken, party: blame.Hypervisor},
	}
	for _, m := range machines {
		attempts = append(attempts,
			attempt{name: "offline", machine: m, op: offline, want: Done, after: is(false)},
			attempt{name: "online", machine: m, before: []Spec{offline}, op: online, want: Done, after: is(true)})
	}
	for _, name := range legitimate {
		attempts = append(attempts, attempt{name: name, machine: guests.X8664,
			then: method(agent.MethodSetCPU, errno(name)), op: offline, want: Refused, party: blame.Kernel})
	}
	runAttempts(t, attempts)
}

func TestWorkloads(t *testing.T) {
	start := Spec{WorkloadStartOp, &WorkloadStart{ID: "lane-0", Name: "reclaim", Params: agent.Params{Seed: 7, Threads: 2}}}
	stop := Spec{WorkloadStopOp, &workloadStop{ID: "lane-0"}}
	running := func(want map[string]string) func(*testing.T, *vmtest.Guest) {
		return func(t *testing.T, g *vmtest.Guest) {
			t.Helper()
			if got := g.Workloads(); !maps.Equal(got, want) {
				t.Errorf("these workloads run: %v, want %v", got, want)
			}
		}
	}
	m := guests.PSeries
	runAttempts(t, []attempt{
		{name: "start", machine: m, op: start, want: Done, after: running(map[string]string{"lane-0": "reclaim"})},
		{name: "start twice", machine: m, before: []Spec{start}, op: start, want: Broken},
		{name: "start with its parameters", machine: m, op: start, want: Done,
			then: method(agent.MethodStartWorkload, func(_ *vmtest.Guest, raw json.RawMessage) (any, error) {
				var p agent.StartWorkloadParams
				if err := json.Unmarshal(raw, &p); err != nil || p.Params.Seed != 7 || p.Params.Threads != 2 {
					return nil, errors.New("bad parameters")
				}
				return nil, nil
			})},
		{name: "start without an answer", machine: m, then: method(agent.MethodStartWorkload, silent), op: start, want: Hung},
		{name: "stop", machine: m, before: []Spec{start}, op: stop, want: Done, after: running(map[string]string{})},
		{name: "stop without a start", machine: m, op: stop, want: Broken},
		{name: "stop that doesn't end", machine: m, before: []Spec{start}, then: method(agent.MethodStopWorkload, silent), op: stop, want: Hung},
		{name: "stop is bounded", machine: m, before: []Spec{start}, op: stop, want: Done,
			then: method(agent.MethodStopWorkload, func(g *vmtest.Guest, raw json.RawMessage) (any, error) {
				if _, err := insistOnLimit(g, raw); err != nil {
					return nil, err
				}
				return agent.WorkloadStats{}, nil
			})},
	})
}

func TestPause(t *testing.T) {
	pause := Spec{VMPause, &vmPause{MS: 250}}
	log := func(want ...string) func(*testing.T, *vmtest.Guest) {
		return func(t *testing.T, g *vmtest.Guest) {
			t.Helper()
			if got := g.Log(); !slices.Equal(got, want) {
				t.Errorf("QEMU heard %v, want %v", got, want)
			}
		}
	}
	m := guests.X8664
	runAttempts(t, []attempt{
		{name: "done", machine: m, op: pause, want: Done, after: log("stop", "cont")},
		{name: "QEMU doesn't stop", machine: m, then: command("stop", silent), op: pause, want: Broken, party: blame.Hypervisor, after: log("stop", "cont")},
		{name: "QEMU doesn't continue", machine: m, then: command("cont", silent), op: pause, want: Broken, party: blame.Hypervisor, after: log("stop", "cont")},
		{name: "QEMU dies of it", machine: m, then: command("stop", dieAsked), op: pause, want: Broken, is: qmp.ErrGone},
		{name: "QEMU dies of continuing", machine: m, then: command("cont", dieAsked), op: pause, want: Broken, is: qmp.ErrGone},
	})
}

func TestPauseLength(t *testing.T) {
	withGuest(t, spec(guests.X8664), func(t *testing.T, g *vmtest.Guest) {
		start := time.Now()
		attempt{op: Spec{VMPause, &vmPause{MS: 250}}, want: Done}.check(t, g)
		if took := time.Since(start); took != 250*time.Millisecond {
			t.Errorf("the pause took %s", took)
		}
	})
}

// TestPauseInterrupted: the guest is never left stopped.
func TestPauseInterrupted(t *testing.T) {
	for name, answer := range map[string]vmtest.Handler{
		"while it stops":    silent,
		"while it's paused": func(*vmtest.Guest, json.RawMessage) (any, error) { return struct{}{}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			withGuest(t, spec(guests.X8664), func(t *testing.T, g *vmtest.Guest) {
				g.Become(command("stop", answer))
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(100*time.Millisecond, cancel)
				_, _ = try(ctx, VMPause, &vmPause{MS: 250}, g.VM) // its outcome doesn't matter any more
				if got, want := g.Log(), []string{"stop", "cont"}; !slices.Equal(got, want) {
					t.Errorf("QEMU heard %v, want %v", got, want)
				}
			})
		})
	}
}

// TestInterrupted: of an op that the end of the run cuts off nothing is known,
// whatever it was waiting for.
func TestInterrupted(t *testing.T) {
	silence := vmtest.Character{Plug: ignore, Unplug: ignore, Methods: map[string]vmtest.Handler{
		agent.MethodSetBlock: silent, agent.MethodSetCPU: silent, agent.MethodStartWorkload: silent, agent.MethodStopWorkload: silent,
	}}
	for _, m := range machines {
		for _, o := range []Spec{
			addDIMM("dimm1"), removeDIMM("dimm0"), setBlock(BlockOffline, 0, "state", "offline"), {CPUOffline, &cpuSet{CPU: 1}},
			removeVCPU(2), addVCPU(3), {WorkloadStartOp, &WorkloadStart{ID: "a"}}, {WorkloadStopOp, &workloadStop{ID: "a"}},
		} {
			t.Run(m.Name+"/"+o.Kind.Name, func(t *testing.T) {
				withGuest(t, spec(m), func(t *testing.T, g *vmtest.Guest) {
					for _, s := range []Spec{addDIMM("dimm0"), removeVCPU(3), addVCPU(2)} {
						_, _ = try(t.Context(), s.Kind, s.Op, g.VM) // a vCPU may be there or not at boot
					}
					g.Become(silence)
					ctx, cancel := context.WithCancelCause(t.Context())
					time.AfterFunc(time.Second, func() { cancel(errors.New("time is up")) })
					if outcome, err := try(ctx, o.Kind, o.Op, g.VM); outcome != "" {
						t.Errorf("outcome is %q: %v", outcome, err)
					}
				})
			})
		}
	}
}
