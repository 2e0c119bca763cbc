// SPDX-License-Identifier: Apache-2.0

package op

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"plugstorm/guests"
	"plugstorm/harness/agent"
	"plugstorm/harness/calls"
	"plugstorm/harness/vm"
	"plugstorm/workloads"
	"plugstorm/workloads/sysfs"
)

// A world is what a lane may do, worked out independently of State.
type world struct {
	machine *vm.Machine
	budget  vm.Budget
	share   Share
	dimms   map[string]int // MiB of those plugged
	offline map[Block]bool
	vcpus   map[int]bool
	cpus    map[int]bool // offline
	work    map[string]bool
	ever    map[string]bool // IDs of workloads, ended ones too
}

func newWorld(m *vm.Machine, b vm.Budget, share Share) *world {
	w := &world{machine: m, budget: b, share: share, dimms: map[string]int{}, offline: map[Block]bool{},
		vcpus: map[int]bool{}, cpus: map[int]bool{}, work: map[string]bool{}, ever: map[string]bool{}}
	for _, i := range share.VCPUs {
		w.vcpus[i] = m.VCPU.ColdPlugged
	}
	return w
}

func (w *world) units(dimm string) int { return w.dimms[dimm] / w.machine.DIMM.UnitMiB }

func (w *world) presentVCPUs() int {
	n := 0
	for _, present := range w.vcpus {
		if present {
			n++
		}
	}
	return n
}

func (w *world) blocks() int {
	n := 0
	for dimm := range w.dimms {
		n += w.units(dimm)
	}
	return n
}

// possible says whether there is anything to do for a kind of op.
func (w *world) possible(kind *Kind) bool {
	switch kind {
	case DIMMAdd, DIMMAddFailing, DIMMAddCallFailing, DIMMAddNotifierError:
		return len(w.dimms) < w.share.DIMMs
	case DIMMRemove, DIMMEvict, DIMMRemoveFailing, DIMMRemoveCallFailing:
		return len(w.dimms) > 0
	case BlockOffline:
		return len(w.offline) < w.blocks()
	case BlockOnline, BlockOnlineKernel:
		return len(w.offline) > 0
	case VCPUAdd, VCPUAddFailing, VCPUAddCallFailing:
		return w.presentVCPUs() < len(w.share.VCPUs)
	case VCPURemove, VCPURemoveCallFailing:
		return w.budget.VCPURemove && w.presentVCPUs() > 0
	case CPUFailing, CPUCallFailing:
		return len(w.share.CPUs) > 0
	case CPUOffline:
		return len(w.cpus) < len(w.share.CPUs)
	case CPUOnline:
		return len(w.cpus) > 0
	case WorkloadStartOp:
		return len(w.share.Workloads) > 0 && len(w.work) < max(1, w.share.AtOnce)
	case WorkloadStopOp:
		return len(w.work) > 0
	case BlockFailNth, BlockNotifierError, BlockInterrupted, BlockCallFailing:
		return w.blocks() > 0
	case VMPause, MemoryProbe, PgmapFailing, PgmapCallFailing:
		return true
	}
	panic("no rule for " + kind.Name)
}

// do does an op, and says what is impossible about it.
func (w *world) do(o Op) string {
	bad := func(format string, args ...any) string { return fmt.Sprintf("%#v: ", o) + fmt.Sprintf(format, args...) }
	switch o := o.(type) {
	case *dimmAdd:
		var number int
		_, err := fmt.Sscanf(o.ID, "dimm%d", &number)
		unit := w.machine.DIMM.UnitMiB
		switch {
		case err != nil || number < w.share.FirstDIMM || number >= w.share.FirstDIMM+w.share.DIMMs:
			return bad("not this lane's")
		case w.dimms[o.ID] != 0:
			return bad("plugged already")
		case o.MiB < unit || o.MiB%unit != 0 || o.MiB > unit*max(1, w.share.MaxUnits):
			return bad("bad size")
		case o.Node != w.machine.DIMM.Node:
			return bad("bad node")
		}
		w.dimms[o.ID] = o.MiB
	case *dimmEvict:
		return w.do(&dimmRemove{ID: o.ID})
	case *dimmRemove:
		if w.dimms[o.ID] == 0 {
			return bad("not plugged")
		}
		for i := range w.units(o.ID) {
			delete(w.offline, Block{o.ID, i})
		}
		delete(w.dimms, o.ID)
	case *blockSet:
		return w.setBlock(o, bad)
	case *dimmAddFailing:
		if problem := w.doFailing(o.failing); problem != "" {
			return bad("%s", problem)
		}
		return w.do(&o.dimmAdd)
	case *dimmAddNotifierError:
		if o.Errno <= 0 {
			return bad("bad errno")
		}
		return w.do(&o.dimmAdd)
	case *dimmRemoveFailing:
		if problem := w.doFailing(o.failing); problem != "" {
			return bad("%s", problem)
		}
		return w.do(&o.dimmRemove)
	case *blockFailNth:
		if o.Nth < 1 || o.Nth > 256 {
			return bad("bad count")
		}
		return w.setBlock(&o.blockSet, bad)
	case *notifierError:
		if o.Errno <= 0 {
			return bad("bad errno")
		}
		return w.setBlock(&o.blockSet, bad)
	case *blockInterrupted:
		if o.AfterMS < 1 || o.AfterMS > 512 {
			return bad("bad time")
		}
		return w.setBlock(&o.blockSet, bad)
	case *vcpuAddFailing:
		if problem := w.doFailing(o.failing); problem != "" {
			return bad("%s", problem)
		}
		return w.do(&o.vcpuAdd)
	case *pgmapFailing:
		if problem := w.doFailing(o.failing); problem != "" || o.Who != "pgmap" {
			return bad("%s of %q", problem, o.Who)
		}
	case *dimmAddCallFailing, *dimmRemoveCallFailing, *blockCallFailing, *vcpuAddCallFailing, *vcpuRemoveCallFailing, *cpuCallFailing, *pgmapCallFailing:
		return w.doCalls(o, bad)
	case *memoryProbe:
		unit := uint64(w.machine.DIMM.UnitMiB) << 20
		if o.Address%unit != 0 || o.Address >= uint64(w.machine.MemMiB)<<20 {
			return bad("not boot memory")
		}
	case *vcpuAdd:
		if present, ours := w.vcpus[o.CPU]; !ours || present {
			return bad("present, or not this lane's")
		}
		w.vcpus[o.CPU] = true
	case *vcpuRemove:
		if !w.vcpus[o.CPU] || !w.budget.VCPURemove {
			return bad("absent, or not to be removed from this QEMU")
		}
		w.vcpus[o.CPU] = false
	case *cpuFailing:
		if o.Step < 1 || o.Step > 256 {
			return bad("bad step")
		}
		return w.do(&o.cpuSet)
	case *cpuSet:
		if !slices.Contains(w.share.CPUs, o.CPU) || w.cpus[o.CPU] != o.Online {
			return bad("not this lane's, or so already")
		}
		if delete(w.cpus, o.CPU); !o.Online {
			w.cpus[o.CPU] = true
		}
	case *WorkloadStart:
		ours := slices.ContainsFunc(w.share.Workloads, func(known *agent.Workload) bool { return known.Name == o.Name })
		if !ours || w.ever[o.ID] || o.Params.Threads < 1 || o.Params.Threads > max(1, w.share.Threads) {
			return bad("not this lane's, or bad parameters")
		}
		w.work[o.ID], w.ever[o.ID] = true, true
	case *workloadStop:
		if !w.work[o.ID] {
			return bad("doesn't run")
		}
		delete(w.work, o.ID)
	case *vmPause:
		if o.MS < 10 || o.MS >= 500 {
			return bad("bad length")
		}
	}
	return ""
}

// doCalls does an op with failing calls, which are calls of our lists.
func (w *world) doCalls(o Op, bad func(string, ...any) string) string {
	base, failing, course := withoutCalls(o)
	sites := calls.For(calls.Sites, course, w.machine.Name)
	for _, c := range failing.Calls {
		known := slices.ContainsFunc(sites, func(s calls.Site) bool {
			return s.Func == c.Func && slices.Contains(s.Errnos, c.Errno) && c.Nth >= 1 && c.Nth <= s.Nth
		})
		if !known {
			return bad("%+v isn't to fail in the course of %s", c, course)
		}
	}
	if len(failing.Calls) == 0 {
		return bad("nothing fails")
	}
	if base == nil {
		return ""
	}
	return w.do(base)
}

// withoutCalls is the op that one with failing calls is made of, nil for none.
func withoutCalls(o Op) (base Op, failing callFailing, course string) {
	switch o := o.(type) {
	case *dimmAddCallFailing:
		return &o.dimmAdd, o.callFailing, "memory-add"
	case *dimmRemoveCallFailing:
		return &o.dimmRemove, o.callFailing, "memory-remove"
	case *blockCallFailing:
		return &o.blockSet, o.callFailing, o.course()
	case *vcpuAddCallFailing:
		return &o.vcpuAdd, o.callFailing, "vcpu-add"
	case *vcpuRemoveCallFailing:
		return &o.vcpuRemove, o.callFailing, "vcpu-remove"
	case *cpuCallFailing:
		return &o.cpuSet, o.callFailing, o.course()
	case *pgmapCallFailing:
		return nil, o.callFailing, "pgmap"
	}
	return nil, callFailing{}, ""
}

func (w *world) doFailing(f failing) string {
	if !slices.Contains(sysfs.Faults, f.What) || f.Percent < 1 || f.Percent > 100 || f.Skip < 0 || f.Skip > failSkips[f.What] || f.Times < 1 || f.Times > 10 {
		return "fails too much or nothing"
	}
	return ""
}

func (w *world) setBlock(o *blockSet, bad func(string, ...any) string) string {
	goes, known := map[string]bool{"state=offline": true, "online=0": true, "state=online_movable": false, "state=online_kernel": false, "online=1": false}[o.Via+"="+o.Value]
	switch {
	case !known:
		return bad("no such attribute or value")
	case o.Index < 0 || o.Index >= w.units(o.DIMM):
		return bad("no such block")
	case w.offline[o.Block] == goes:
		return bad("so already")
	}
	if delete(w.offline, o.Block); goes {
		w.offline[o.Block] = true
	}
	return ""
}

// drawShare draws a lane's share of a machine.
func drawShare(t *rapid.T, m *vm.Machine) Share {
	share := Share{
		Name:      "lane",
		FirstDIMM: rapid.IntRange(0, 9).Draw(t, "first DIMM"),
		DIMMs:     rapid.IntRange(0, 4).Draw(t, "DIMMs"),
		MaxUnits:  rapid.IntRange(0, 4).Draw(t, "units"),
		Threads:   rapid.IntRange(0, 3).Draw(t, "threads"),
		AtOnce:    rapid.IntRange(0, 3).Draw(t, "at once"),
		CPUs:      rapid.SampledFrom([][]int{nil, {1}, {1, 2}}).Draw(t, "CPUs"),
	}
	for i := range rapid.IntRange(0, m.VCPU.Plug).Draw(t, "vCPUs") {
		share.VCPUs = append(share.VCPUs, m.VCPU.Boot+i)
	}
	if rapid.Bool().Draw(t, "workloads") {
		share.Workloads = []*agent.Workload{workloads.Reclaim, workloads.MemoryHog}
	}
	return share
}

func drawBudget(t *rapid.T) vm.Budget {
	return vm.Budget{VCPURemove: rapid.Bool().Draw(t, "vCPU removal"), VCPUAdds: -1}
}

// sameState compares states. What was started and has been stopped is history.
func sameState(a, b *State) string {
	return cmp.Diff(a, b, cmp.AllowUnexported(State{}), cmpopts.IgnoreFields(State{}, "started", "Workloads", "decks"), cmpopts.EquateEmpty())
}

func asJSON(t interface{ Fatal(...any) }, s Spec) string {
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestDrawsArePossible walks at random: whatever is drawn can be done, what
// can be done is drawn, and drawing changes nothing.
func TestDrawsArePossible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom(machines).Draw(t, "machine")
		budget, share := drawBudget(t), drawShare(t, m)
		w, s := newWorld(m, budget, share), NewState(m, budget, share)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			kind := rapid.SampledFrom(Kinds.All()).Draw(t, "kind")
			o := kind.Draw(newRand(rapid.Uint64().Draw(t, "seed")), s)
			if (o != nil) != w.possible(kind) {
				t.Fatalf("%s drew %#v, possible: %v", kind.Name, o, w.possible(kind))
			}
			if o == nil {
				continue
			}
			if complaint := w.do(o); complaint != "" {
				t.Fatal(complaint)
			}
			o.Apply(s)
		}
		checkSetup(t, m, budget, share, s)
	})
}

// checkSetup brings a fresh guest to s, in steps that are possible each.
func checkSetup(t *rapid.T, m *vm.Machine, budget vm.Budget, share Share, s *State) {
	w, fresh := newWorld(m, budget, share), NewState(m, budget, share)
	for _, spec := range s.Setup() {
		var saved Spec
		if err := json.Unmarshal([]byte(asJSON(t, spec)), &saved); err != nil {
			t.Fatalf("setup step of the wrong kind: %v", err)
		}
		if complaint := w.do(spec.Op); complaint != "" {
			t.Fatal("setup: ", complaint)
		}
		spec.Op.Apply(fresh)
	}
	if diff := sameState(s, fresh); diff != "" {
		t.Fatalf("after setup (-want +got):\n%s", diff)
	}
	if rest := NewState(m, budget, share).Setup(); len(rest) != 0 {
		t.Fatalf("a fresh guest needs %d steps of setup", len(rest))
	}
}

// TestDrawIsPure: a draw depends on the seed and the state alone, changes
// neither, and survives JSON.
func TestDrawIsPure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom(machines).Draw(t, "machine")
		budget := vm.Budget{VCPURemove: true, VCPUAdds: -1}
		share := Share{Name: "lane", DIMMs: 3, MaxUnits: 3, Threads: 2, VCPUs: []int{2, 3}, CPUs: []int{1, 2},
			Workloads: []*agent.Workload{workloads.Reclaim, workloads.MemoryHog}}
		a, b := NewState(m, budget, share), NewState(m, budget, share)
		seed := rapid.Uint64().Draw(t, "seed")
		first, second := newRand(seed), newRand(seed)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			kind := rapid.SampledFrom(Kinds.All()).Draw(t, "kind")
			o, again := kind.Draw(first, a), kind.Draw(second, b)
			if diff := sameState(a, b); diff != "" || a.started != b.started {
				t.Fatalf("%s changed the state while drawing:\n%s", kind.Name, diff)
			}
			if (o == nil) != (again == nil) {
				t.Fatalf("%s drew %v and %v from the same seed", kind.Name, o, again)
			}
			if o == nil {
				continue
			}
			text := asJSON(t, Spec{kind, o})
			if other := asJSON(t, Spec{kind, again}); other != text {
				t.Fatalf("%s and %s from the same seed", text, other)
			}
			var saved Spec
			if err := json.Unmarshal([]byte(text), &saved); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if back := asJSON(t, saved); back != text || saved.Kind != kind {
				t.Fatalf("%s came back as %s", text, back)
			}
			o.Apply(a)
			saved.Op.Apply(b) // what was saved does the same
		}
	})
}

// TestDrawSpreads: no device, size or value is left out.
func TestDrawSpreads(t *testing.T) {
	share := Share{Name: "lane", DIMMs: 3, MaxUnits: 3, Threads: 2, VCPUs: []int{2, 3}, CPUs: []int{1, 2},
		Workloads: []*agent.Workload{workloads.Reclaim, workloads.MemoryHog}}
	s := NewState(guests.PSeries, vm.Budget{VCPURemove: true}, share)
	r := newRand(1)
	seen := map[string]bool{}
	for range 200000 {
		kind := Kinds.All()[r.IntN(len(Kinds.All()))]
		o := kind.Draw(r, s)
		if o == nil {
			continue
		}
		switch o := o.(type) {
		case *WorkloadStart:
			seen[fmt.Sprintf("%s on %d", o.Name, o.Params.Threads)] = true
		case *blockFailNth:
			seen[fmt.Sprintf("%s %d", kind.Name, bits.Len(uint(o.Nth)))] = true
		case *dimmAddFailing:
			seen[fmt.Sprintf("%s %s %d %s", kind.Name, o.ID, o.MiB, o.What)] = true
		case *blockInterrupted:
			seen[fmt.Sprintf("%s %d", kind.Name, bits.Len(uint(o.AfterMS)))] = true
		case *vcpuAddFailing:
			seen[fmt.Sprintf("%s %d %s", kind.Name, o.CPU, o.What)] = true
		case *cpuFailing:
			seen[fmt.Sprintf("%s %d %v", kind.Name, o.CPU, o.Online)] = true
		case *pgmapFailing:
			seen[fmt.Sprintf("%s %s", kind.Name, o.What)] = true
		case *dimmRemoveFailing:
			seen[fmt.Sprintf("%s %s %s", kind.Name, o.ID, o.What)] = true
		case *workloadStop, *vmPause: // their arguments are endless
			seen[kind.Name] = true
		default:
			_, failing, course := withoutCalls(o)
			for _, c := range failing.Calls {
				seen["call "+course+" "+c.Func] = true
			}
			if course == "" {
				seen[asJSON(t, Spec{kind, o})] = true
			}
		}
		o.Apply(s)
	}
	for _, course := range calls.Ops {
		for _, site := range calls.For(calls.Sites, course, guests.PSeries.Name) {
			if key := "call " + course + " " + site.Func; !seen[key] {
				t.Errorf("%s was never drawn", key)
			}
		}
	}
	maps.DeleteFunc(seen, func(key string, _ bool) bool { return strings.HasPrefix(key, "call ") })
	// 3 DIMMs of 3 sizes to add, 3 to remove, in 2 ways; 9 blocks, 2 ways, 2 directions, and a third one online;
	// 2 CPUs and 2 vCPUs, 2 directions; 2 workloads of 2 sizes; stop; pause; the
	// blocks and the DIMMs to add again with 3 errnos; 8 octaves of allocations; 4 addresses; the DIMMs
	// again with 2 things that fail, and the vCPUs; 9 octaves of milliseconds;
	// device memory; the CPUs again.
	if want := 9 + 2*3 + 9*2*2 + 9 + 2*2 + 2*2 + 2*2 + 1 + 1 + (9*2*2+9)*3 + 8 + 4 + (9+3+2+1)*2 + 9 + 2*2; len(seen) != want {
		t.Errorf("%d different ops were drawn, want %d", len(seen), want)
	}
}

// TestForeignRecord: a schedule that a person has shortened applies without a
// panic.
func TestForeignRecord(t *testing.T) {
	s := NewState(guests.X8664, vm.Budget{}, Share{})
	for _, spec := range []Spec{
		setBlock(BlockOffline, 3, "state", "offline"), setBlock(BlockOnline, 3, "online", "1"), removeDIMM("dimm5"),
		removeVCPU(2), {CPUOnline, &cpuSet{CPU: 1, Online: true}}, {WorkloadStopOp, &workloadStop{ID: "x"}},
	} {
		spec.Op.Apply(s)
	}
	if rest := s.Setup(); len(rest) != 0 {
		t.Errorf("what never was needs setup: %v", rest)
	}
}
