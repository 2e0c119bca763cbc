// SPDX-License-Identifier: Apache-2.0

package op

import (
	"encoding/json"
	"slices"
	"testing"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm/vmtest"
)

// failsOnce answers the first call with an errno and passes the others on to
// the fake kernel's own handler, counting what it was asked.
func failsOnce(name string, asked *[]string, next vmtest.Handler) vmtest.Handler {
	return func(g *vmtest.Guest, params json.RawMessage) (any, error) {
		*asked = append(*asked, string(params))
		if len(*asked) == 1 {
			return nil, &agent.Error{Message: "write: " + name, Errno: name}
		}
		return next(g, params)
	}
}

func nothing(*vmtest.Guest, json.RawMessage) (any, error) { return nil, nil }

// TestFailingBlocks: whatever the kernel says to the failure, the block is set
// for good afterwards, and only that counts.
func TestFailingBlocks(t *testing.T) {
	here := []Spec{addDIMM("dimm0")}
	set := blockSet{Block: Block{DIMM: "dimm0"}, Via: "state", Value: "offline"}
	nth := Spec{BlockFailNth, &blockFailNth{blockSet: set, Nth: 3}}
	notifier := Spec{BlockNotifierError, &notifierError{blockSet: set, Errno: 12}}
	interrupted := Spec{BlockInterrupted, &blockInterrupted{blockSet: set, AfterMS: 3}}
	var attempts []attempt
	for _, m := range machines {
		for _, op := range []Spec{nth, notifier, interrupted} {
			var asked []string
			attempts = append(attempts, []attempt{
				{name: op.Kind.Name + " survived", machine: m, before: here, op: op, want: Done},
				{name: op.Kind.Name + " refused", machine: m, before: here, op: op, want: Done,
					then: method(agent.MethodSetBlock, failsOnce("ENOMEM", &asked, nothing)),
					after: func(t *testing.T, _ *vmtest.Guest) {
						t.Helper()
						var again agent.SetBlockParams
						if len(asked) != 2 || json.Unmarshal([]byte(asked[1]), &again) != nil || again.FailNth != 0 {
							t.Errorf("asked %q", asked)
						}
					}},
				{name: op.Kind.Name + " strange error", machine: m, before: here, op: op, want: Broken, then: method(agent.MethodSetBlock, errno("EIO"))},
				{name: op.Kind.Name + " hangs", machine: m, before: here, op: op, want: Hung, then: method(agent.MethodSetBlock, silent)},
				{name: op.Kind.Name + " stays refused", machine: m, before: here, op: op, want: Refused, then: method(agent.MethodSetBlock, errno("EBUSY"))},
				{name: op.Kind.Name + " no such DIMM", machine: m, op: op, want: Refused, after: unheard(agent.MethodSetBlock)},
			}...)
		}
	}
	runAttempts(t, attempts)
}

// TestFailingDIMMs: a guest that doesn't take a DIMM refuses it, also where no
// event says so, and nothing goes on failing.
func TestFailingDIMMs(t *testing.T) {
	f := failing{What: "failslab", Percent: 10, Times: 2}
	add := Spec{DIMMAddFailing, &dimmAddFailing{dimmAdd: *addDIMM("dimm0").Op.(*dimmAdd), failing: f}}
	remove := Spec{DIMMRemoveFailing, &dimmRemoveFailing{dimmRemove: dimmRemove{ID: "dimm0"}, failing: f}}
	var attempts []attempt
	for _, m := range machines {
		var percents []int
		count := func(_ *vmtest.Guest, params json.RawMessage) (any, error) {
			var p agent.FailWorkersParams
			if err := json.Unmarshal(params, &p); err != nil {
				return nil, err
			}
			percents = append(percents, p.Percent)
			return nil, nil
		}
		stopped := func(t *testing.T, _ *vmtest.Guest) {
			t.Helper()
			if len(percents) < 2 || percents[len(percents)-2] != 10 || percents[len(percents)-1] != 0 {
				t.Errorf("asked for %v percent", percents)
			}
		}
		fine := method(agent.MethodFailWorkers, count)
		deaf := fine
		deaf.Plug = ignore
		lost := fine
		lost.Unplug = ignore
		attempts = append(attempts, []attempt{
			{name: "add", machine: m, op: add, want: Done, then: fine, after: stopped},
			{name: "add not taken", machine: m, op: add, want: Refused, then: deaf, after: stopped},
			{name: "remove", machine: m, before: []Spec{addDIMM("dimm0")}, op: remove, want: Done, then: fine, after: stopped},
			{name: "remove not heard of", machine: m, before: []Spec{addDIMM("dimm0")}, op: remove, want: Refused, then: lost, after: stopped},
			{name: "no fault injection", machine: m, op: add, want: Refused, then: method(agent.MethodFailWorkers, errno("ENOENT"))},
			{name: "remove nothing", machine: m, op: remove, want: Refused, then: fine, after: stopped},
		}...)
	}
	runAttempts(t, attempts)
}

// TestDIMMNotifierError: as TestFailingDIMMs.
func TestDIMMNotifierError(t *testing.T) {
	noModule := method(agent.MethodWriteFile, errno("ENOENT"))
	noModule.Methods[agent.MethodLoadModule] = errno("ENOENT")
	add := Spec{DIMMAddNotifierError, &dimmAddNotifierError{dimmAdd: *addDIMM("dimm0").Op.(*dimmAdd), Errno: 12}}
	var attempts []attempt
	for _, m := range machines {
		var values []string
		fine := method(agent.MethodWriteFile, func(_ *vmtest.Guest, params json.RawMessage) (any, error) {
			var p agent.FileParams
			err := json.Unmarshal(params, &p)
			values = append(values, p.Data)
			return nil, err
		})
		deaf, full := fine, fine
		deaf.Plug = ignore
		full.Commands = command("device_add", refuseCommand).Commands
		calledOff := func(t *testing.T, _ *vmtest.Guest) {
			t.Helper()
			if !slices.Equal(values, []string{"-12", "0"}) {
				t.Errorf("wrote %q", values)
			}
			values = nil
		}
		attempts = append(attempts, []attempt{
			{name: "add", machine: m, op: add, want: Done, then: fine, after: calledOff},
			{name: "add not taken", machine: m, op: add, want: Refused, then: deaf, after: calledOff},
			{name: "no slot", machine: m, op: add, want: Refused, then: full, after: calledOff},
			{name: "no module", machine: m, op: add, want: Refused, then: noModule},
		}...)
	}
	runAttempts(t, attempts)
}

// TestFailingVCPUs: as TestFailingDIMMs.
func TestFailingVCPUs(t *testing.T) {
	var percents []int
	fine := method(agent.MethodFailWorkers, func(_ *vmtest.Guest, params json.RawMessage) (any, error) {
		var p agent.FailWorkersParams
		err := json.Unmarshal(params, &p)
		percents = append(percents, p.Percent)
		return nil, err
	})
	deaf := fine
	deaf.Plug = ignore
	stopped := func(t *testing.T, _ *vmtest.Guest) {
		t.Helper()
		if len(percents) != 2 || percents[0] != 100 || percents[1] != 0 {
			t.Errorf("asked for %v percent", percents)
		}
		percents = nil
	}
	add := Spec{VCPUAddFailing, &vcpuAddFailing{vcpuAdd: vcpuAdd{CPU: 2}, failing: failing{What: "failslab", Percent: 100, Times: 1}}}
	var attempts []attempt
	for _, m := range machines {
		var before []Spec
		if m.VCPU.ColdPlugged {
			before = []Spec{removeVCPU(2)}
		}
		attempts = append(attempts, []attempt{
			{name: "add", machine: m, before: before, op: add, want: Done, then: fine, after: stopped},
			{name: "add not taken", machine: m, before: before, op: add, want: Refused, then: deaf, after: stopped},
			{name: "no fault injection", machine: m, before: before, op: add, want: Refused, then: method(agent.MethodFailWorkers, errno("ENOENT"))},
		}...)
	}
	runAttempts(t, attempts)
}

// TestFailingPgmaps: those fail who are meant, for a while.
func TestFailingPgmaps(t *testing.T) {
	var asked []agent.FailWorkersParams
	fine := method(agent.MethodFailWorkers, func(_ *vmtest.Guest, params json.RawMessage) (any, error) {
		var p agent.FailWorkersParams
		err := json.Unmarshal(params, &p)
		asked = append(asked, p)
		return nil, err
	})
	o := Spec{PgmapFailing, &pgmapFailing{failing{What: "failslab", Percent: 100, Times: 1, Who: "pgmap"}}}
	attempt{machine: machines[0], then: fine, op: o, want: Done}.run(t)
	if len(asked) != 2 || asked[0].Who != "pgmap" || asked[0].Percent != 100 || asked[1].Percent != 0 {
		t.Errorf("asked for %+v", asked)
	}
	attempt{machine: machines[0], then: method(agent.MethodFailWorkers, errno("ENOENT")), op: o, want: Refused}.run(t)
}

// TestInterruptedBlock: the guest is told when to interrupt the first write,
// and that comes before its patience ends.
func TestInterruptedBlock(t *testing.T) {
	var limits []int64
	character := method(agent.MethodSetBlock, func(_ *vmtest.Guest, params json.RawMessage) (any, error) {
		var p agent.SetBlockParams
		err := json.Unmarshal(params, &p)
		limits = append(limits, p.LimitMS)
		return nil, err
	})
	o := Spec{BlockInterrupted, &blockInterrupted{blockSet: blockSet{Block: Block{DIMM: "dimm0"}, Via: "state", Value: "offline"}, AfterMS: 7}}
	attempt{machine: machines[0], before: []Spec{addDIMM("dimm0")}, then: character, op: o, want: Done}.run(t)
	if len(limits) != 2 || limits[0] < 1 || limits[0] >= limits[1] || limits[1] < blockLimit.Milliseconds() {
		t.Errorf("the limits are %v ms", limits)
	}
}

// TestNotifierErrorLoads: the modules are loaded when the file isn't there, and
// the error is called off.
func TestNotifierErrorLoads(t *testing.T) {
	var values, loaded []string
	character := vmtest.Character{Methods: map[string]vmtest.Handler{
		agent.MethodWriteFile: func(_ *vmtest.Guest, params json.RawMessage) (any, error) {
			var p agent.FileParams
			if err := json.Unmarshal(params, &p); err != nil || len(loaded) < len(notifierModules) {
				return nil, &agent.Error{Message: "open", Errno: "ENOENT"}
			}
			values = append(values, p.Data)
			return nil, nil
		},
		agent.MethodLoadModule: func(_ *vmtest.Guest, params json.RawMessage) (any, error) {
			var p agent.ModuleParams
			if err := json.Unmarshal(params, &p); err != nil {
				return nil, err
			}
			loaded = append(loaded, p.Name)
			return nil, nil
		},
	}}
	o := Spec{BlockNotifierError, &notifierError{blockSet: blockSet{Block: Block{DIMM: "dimm0"}, Via: "state", Value: "offline"}, Errno: 16}}
	attempt{machine: machines[0], before: []Spec{addDIMM("dimm0")}, then: character, op: o, want: Done}.run(t)
	if !slices.Equal(values, []string{"-16", "0"}) || !slices.Equal(loaded, notifierModules) {
		t.Errorf("wrote %q, loaded %q", values, loaded)
	}
}

func TestMemoryProbe(t *testing.T) {
	probe := Spec{MemoryProbe, &memoryProbe{Address: 128 << 20}}
	var attempts []attempt
	for _, m := range machines {
		attempts = append(attempts, []attempt{
			{name: "exists", machine: m, op: probe, want: Done, then: method(agent.MethodWriteFile, errno("EEXIST"))},
			{name: "no such file", machine: m, op: probe, want: Refused, then: method(agent.MethodWriteFile, errno("ENOENT"))},
			{name: "strange error", machine: m, op: probe, want: Broken, then: method(agent.MethodWriteFile, errno("EIO"))},
			{name: "hangs", machine: m, op: probe, want: Hung, then: method(agent.MethodWriteFile, silent)},
		}...)
	}
	runAttempts(t, attempts)
}

// TestFailingCPU: the step fails once, and the CPU is set for good afterwards.
func TestFailingCPU(t *testing.T) {
	offline := Spec{CPUFailing, &cpuFailing{cpuSet: cpuSet{CPU: 1}, Step: 5}}
	var attempts []attempt
	for _, m := range machines {
		var asked []string
		attempts = append(attempts, []attempt{
			{name: "survived", machine: m, op: offline, want: Done},
			{name: "refused", machine: m, op: offline, want: Done, then: method(agent.MethodSetCPU, failsOnce("EBUSY", &asked, nothing)),
				after: func(t *testing.T, _ *vmtest.Guest) {
					t.Helper()
					var first, again agent.SetCPUParams
					if len(asked) != 2 || json.Unmarshal([]byte(asked[0]), &first) != nil || json.Unmarshal([]byte(asked[1]), &again) != nil ||
						first.FailStep != 5 || again.FailStep != 0 {
						t.Errorf("asked %q", asked)
					}
				}},
			{name: "stays refused", machine: m, op: offline, want: Refused, then: method(agent.MethodSetCPU, errno("EBUSY"))},
			{name: "strange error", machine: m, op: offline, want: Broken, then: method(agent.MethodSetCPU, errno("EIO"))},
			{name: "hangs", machine: m, op: offline, want: Hung, then: method(agent.MethodSetCPU, silent)},
		}...)
	}
	runAttempts(t, attempts)
}
