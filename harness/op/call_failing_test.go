// SPDX-License-Identifier: Apache-2.0

package op

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"plugstorm/harness/agent"
	"plugstorm/harness/calls"
	"plugstorm/harness/vm"
	"plugstorm/harness/vm/vmtest"
)

// A fakeModule answers as plugstorm_fail does.
type fakeModule struct {
	mu sync.Mutex // calls come on goroutines of their own

	absent  bool // it isn't loaded yet
	fires   bool // whatever is armed fails at once
	why     string
	armed   []string
	written []string // all of it
	loads   int
}

func (f *fakeModule) character(others ...vmtest.Character) vmtest.Character {
	all := map[string]vmtest.Handler{
		agent.MethodWriteFile: f.write, agent.MethodReadFile: f.read,
		agent.MethodLoadModule: func(*vmtest.Guest, json.RawMessage) (any, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.loads++
			if f.why != "" {
				return nil, &agent.Error{Message: "load module", Errno: f.why}
			}
			f.absent = false
			return nil, nil
		},
	}
	c := vmtest.Character{Methods: all}
	for _, other := range others {
		c.Plug, c.Unplug = other.Plug, other.Unplug
		for name, h := range other.Methods {
			all[name] = h
		}
	}
	return c
}

func (f *fakeModule) write(_ *vmtest.Guest, params json.RawMessage) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var p agent.FileParams
	if err := json.Unmarshal(params, &p); err != nil || f.absent || p.Path != calls.ArmFile {
		return nil, &agent.Error{Message: "open", Errno: "ENOENT"}
	}
	f.written = append(f.written, p.Data)
	if name, off := strings.CutPrefix(p.Data, "off "); off {
		f.armed = slices.DeleteFunc(f.armed, func(a string) bool { return a == name })
	} else {
		f.armed = append(f.armed, strings.Fields(p.Data)[0])
	}
	return nil, nil
}

func (f *fakeModule) read(*vmtest.Guest, json.RawMessage) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := calls.Header + "\n"
	for _, name := range f.armed {
		fired := "0"
		if f.fires {
			fired = "1"
		}
		text += "call " + name + " symbol=x state=ok value=-12 nth=1 calls=" + fired + " fired=" + fired + " missed=0\n"
	}
	return agent.FileReply{Data: text}, nil
}

var twoCalls = callFailing{Calls: []calls.Call{{Func: "offline_pages", Errno: "EBUSY", Nth: 1}, {Func: "f<g", Errno: "SIGNAL", Nth: 2}}}

// TestCallFailingBlock: each call is armed, tried and called off, and the block
// is set for good afterwards; what came of the calls is told.
func TestCallFailingBlock(t *testing.T) {
	for _, m := range machines {
		module := &fakeModule{absent: true, fires: true}
		var asked []string
		o := &blockCallFailing{blockSet: blockSet{Block: Block{DIMM: "dimm0"}, Via: "state", Value: "offline"}, callFailing: twoCalls}
		busy := method(agent.MethodSetBlock, func(g *vmtest.Guest, params json.RawMessage) (any, error) {
			if asked = append(asked, string(params)); len(asked) <= 2 {
				return nil, &agent.Error{Message: "write: EBUSY", Errno: "EBUSY"}
			}
			return nothing(g, params)
		})
		attempt{machine: m, before: []Spec{addDIMM("dimm0")}, then: module.character(busy), op: Spec{BlockCallFailing, o}, want: Done}.run(t)
		want := []string{"offline_pages EBUSY 1", "off offline_pages", "f<g SIGNAL 2", "off f<g"}
		if len(asked) != 3 || !slices.Equal(module.written, want) || module.loads != 1 {
			t.Errorf("asked %q, wrote %q, loaded %d times", asked, module.written, module.loads)
		}
		if r := o.Reports(); len(r) != 2 || !r[0].Fired || !r[1].Fired || r[1].Func != "f<g" {
			t.Errorf("reports %+v", r)
		}
	}
}

// TestCallFailingWithoutModule: a kernel without the module does what it is
// asked to, and it is told that nothing failed.
func TestCallFailingWithoutModule(t *testing.T) {
	module := &fakeModule{absent: true, why: "ENOENT"}
	o := &cpuCallFailing{cpuSet: cpuSet{CPU: 1}, callFailing: callFailing{Calls: twoCalls.Calls[:1]}}
	attempt{machine: machines[0], then: module.character(), op: Spec{CPUCallFailing, o}, want: Done}.run(t)
	if r := o.Reports(); len(r) != 1 || r[0].Fired || r[0].Unavailable == "" {
		t.Errorf("reports %+v", r)
	}
}

// TestCallFailingPlug: a guest that doesn't take a device refuses it, also where
// no event says so, and nothing goes on failing.
func TestCallFailingPlug(t *testing.T) {
	for _, m := range machines {
		for name, tt := range map[string]struct {
			op     Spec
			before []Spec
			guest  vmtest.Character
			fires  bool
			want   Outcome
		}{
			"add":                  {op: Spec{DIMMAddCallFailing, &dimmAddCallFailing{*addDIMM("dimm0").Op.(*dimmAdd), twoCalls}}, want: Done},
			"add not taken":        {op: Spec{DIMMAddCallFailing, &dimmAddCallFailing{*addDIMM("dimm0").Op.(*dimmAdd), twoCalls}}, guest: vmtest.Character{Plug: ignore}, fires: true, want: Refused},
			"add not heard of":     {op: Spec{DIMMAddCallFailing, &dimmAddCallFailing{*addDIMM("dimm0").Op.(*dimmAdd), twoCalls}}, guest: vmtest.Character{Plug: ignore}, want: Refused},
			"add nothing recorded": {op: Spec{DIMMAddCallFailing, &dimmAddCallFailing{dimmAdd: *addDIMM("dimm0").Op.(*dimmAdd)}}, want: Refused},
			"remove not taken": {op: Spec{DIMMRemoveCallFailing, &dimmRemoveCallFailing{dimmRemove{ID: "dimm0"}, twoCalls}}, before: []Spec{addDIMM("dimm0")},
				guest: vmtest.Character{Unplug: ignore}, fires: true, want: Refused},
			"remove nothing": {op: Spec{DIMMRemoveCallFailing, &dimmRemoveCallFailing{dimmRemove{ID: "dimm0"}, twoCalls}}, want: Refused},
		} {
			t.Run(m.Name+"/"+name, func(t *testing.T) {
				module := &fakeModule{fires: tt.fires}
				attempt{machine: m, before: tt.before, then: module.character(tt.guest), op: tt.op, want: tt.want}.run(t)
				if len(module.armed) > 0 {
					t.Errorf("%v goes on failing", module.armed)
				}
				if name != "add nothing recorded" && len(module.written) != 2 {
					t.Errorf("wrote %q", module.written)
				}
				if r := tt.op.Op.(Reporter).Reports(); len(r) > 0 && r[0].Fired != tt.fires {
					t.Errorf("reports %+v", r)
				}
			})
		}
	}
}

// TestCallFailingPgmap: a call that nobody makes is waited for, but not for ever.
func TestCallFailingPgmap(t *testing.T) {
	module := &fakeModule{}
	o := &pgmapCallFailing{twoCalls}
	attempt{machine: machines[0], then: module.character(), op: Spec{PgmapCallFailing, o}, want: Done}.run(t)
	if r := o.Reports(); len(module.armed) > 0 || len(r) != 2 || r[0].Fired {
		t.Errorf("%v goes on failing, reports %+v", module.armed, r)
	}
}

// TestCallFailingHangs: a kernel that keeps what the module needs hangs, and it
// isn't the harness that is broken.
func TestCallFailingHangs(t *testing.T) {
	module := &fakeModule{}
	o := &cpuCallFailing{cpuSet: cpuSet{CPU: 1}, callFailing: callFailing{Calls: twoCalls.Calls[:1]}}
	attempt{machine: machines[0], then: module.character(method(agent.MethodWriteFile, silent)), op: Spec{CPUCallFailing, o}, want: Hung}.run(t)
	o = &cpuCallFailing{cpuSet: cpuSet{CPU: 1}, callFailing: callFailing{Calls: twoCalls.Calls[:1]}}
	attempt{machine: machines[0], then: module.character(method(agent.MethodReadFile, silent)), op: Spec{CPUCallFailing, o}, want: Hung}.run(t)
}

// TestCallFailingVCPU: a CPU that is present and not registered yet is waited for.
func TestCallFailingVCPU(t *testing.T) {
	asked := 0
	early := method(agent.MethodSetCPU, func(g *vmtest.Guest, params json.RawMessage) (any, error) {
		if asked++; asked < 3 {
			return nil, &agent.Error{Message: "open", Errno: "ENOENT"}
		}
		return nothing(g, params)
	})
	m := machines[0]
	if !m.VCPU.GuestOnlines || !m.VCPU.ColdPlugged {
		t.Fatalf("%s is another machine now", m.Name)
	}
	o := &vcpuAddCallFailing{vcpuAdd{CPU: 2}, twoCalls}
	attempt{machine: m, before: []Spec{removeVCPU(2)}, then: (&fakeModule{}).character(early), op: Spec{VCPUAddCallFailing, o}, want: Done}.run(t)
	if asked != 4 { // the last one is Confirm's: this kernel doesn't say that the CPU is online
		t.Errorf("asked %d times", asked)
	}
}

// TestFreshVCPU: one that is there since boot and never online needs no plugging, the
// first time; and then it is as any other.
func TestFreshVCPU(t *testing.T) {
	add := func() Spec { return Spec{VCPUAdd, &vcpuAdd{CPU: 3}} }
	fresh := func(s *vm.Spec) { s.FreshVCPUs = 1 }
	for _, m := range machines {
		attempt{machine: m, change: fresh, op: add(), want: Done}.run(t)
		attempt{machine: m, change: fresh, before: []Spec{add()}, op: add(), want: Refused}.run(t)
		attempt{machine: m, change: fresh, before: []Spec{add(), removeVCPU(3)}, op: add(), want: Done}.run(t)
		want := Refused // all are there and online
		if !m.VCPU.ColdPlugged {
			want = Done
		}
		attempt{machine: m, op: add(), want: want}.run(t)
		s := NewState(m, vm.Budget{VCPURemove: true}, Share{VCPUs: []int{2, 3}, Fresh: 1})
		if s.VCPUs[3] || s.VCPUs[2] != m.VCPU.ColdPlugged || len(s.Setup()) > 0 {
			t.Errorf("%s: a lane has %v, and a guest needs %v", m.Name, s.VCPUs, s.Setup())
		}
	}
}

// TestCallFailingVCPUAgain: a guest that has given up a vCPU is asked to take it again,
// with the other calls failing, and then for good. One that can't be asked has refused.
func TestCallFailingVCPUAgain(t *testing.T) {
	for _, m := range machines {
		module := &fakeModule{fires: true}
		var asked []string
		deaf := method(agent.MethodWriteFile, func(g *vmtest.Guest, params json.RawMessage) (any, error) {
			var p agent.FileParams
			if err := json.Unmarshal(params, &p); err != nil || p.Path != dlparFile {
				return module.write(g, params)
			}
			if asked = append(asked, p.Data); len(asked) == 1 {
				return nil, &agent.Error{Message: "write: EPERM", Errno: "EPERM"}
			}
			return nil, nil
		})
		deaf.Plug = ignore
		var before []Spec
		if m.VCPU.ColdPlugged {
			before = []Spec{removeVCPU(2)}
		}
		want, requests := Refused, []string(nil)
		if m.VCPU.AddRequest != "" {
			want, requests = Done, []string{"cpu add index 0x10000002", "cpu add index 0x10000002"}
		}
		o := &vcpuAddCallFailing{vcpuAdd{CPU: 2}, twoCalls}
		attempt{machine: m, before: before, then: module.character(deaf), op: Spec{VCPUAddCallFailing, o}, want: want}.run(t)
		if !slices.Equal(asked, requests) || len(module.armed) > 0 {
			t.Errorf("%s: asked %q, and %q goes on failing", m.Name, asked, module.armed)
		}
	}
}
