// SPDX-License-Identifier: Apache-2.0

package op

import (
	"math/rand/v2"
	"slices"
	"testing"

	"plugstorm/guests"
	"plugstorm/harness/calls"
	"plugstorm/harness/vm"
)

// ownSites are one that fails at any time and one at a guest's end only.
var ownSites = []calls.Site{
	{Func: "kzalloc<<f", Ops: calls.Ops, Errnos: []string{"NULL"}, Nth: 1}, {Func: "g<<f", Ops: []string{"cpu-online"}, Errnos: []string{"EIO"}, Nth: 1, Last: true},
	{Func: "h<<f", Ops: []string{"pgmap"}, Errnos: []string{"EIO"}, Nth: 1},
}

// TestOwnCalls: every other op has its own calls fail, first and half of its calls;
// at a guest's end each does; and without own sites nothing is drawn for them.
func TestOwnCalls(t *testing.T) {
	drawn := func(sites []calls.Site, aside bool) (all [][]calls.Call) {
		r := rand.New(rand.NewPCG(7, 7))
		s := NewState(guests.X8664, vm.Budget{}, Share{Sites: sites})
		if aside {
			s = s.Aside()
		}
		for range 100 {
			failing, ok := drawCalls(r, s, "cpu-online", callsAtOnce)
			if !ok || len(failing.Calls) != callsAtOnce {
				t.Fatalf("%+v", failing)
			}
			failing.dealt(s, "cpu-online")
			all = append(all, failing.Calls)
		}
		return all
	}
	seen := func(all [][]calls.Call, name string) (n int) {
		for _, list := range all {
			if slices.ContainsFunc(list, func(c calls.Call) bool { return c.Func == name }) {
				n++
			}
		}
		return n
	}
	storm := drawn(ownSites, false)
	if n := seen(storm, "kzalloc<<f"); n < 30 || n > 70 || seen(storm, "g<<f")+seen(storm, "h<<f") > 0 {
		t.Errorf("%d of 100 ops have one fail, %d one that is for the end", n, seen(storm, "g<<f"))
	}
	for _, list := range storm {
		if i := slices.IndexFunc(list, calls.Call.Own); i > 0 {
			t.Errorf("an own call comes after %d others", i)
		}
	}
	end := drawn(ownSites, true)
	if seen(end, "kzalloc<<f") != 100 || end[0][0].Func != "g<<f" || end[0][2].Own() {
		t.Errorf("at the end: %+v", end[0])
	}
	first, ok := drawCalls(rand.New(rand.NewPCG(7, 7)), NewState(guests.PSeries, vm.Budget{}, Share{Sites: ownSites}).Aside(), "vcpu-add", callsAtOnce)
	if own := slices.IndexFunc(first.Calls, calls.Call.Own); !ok || len(first.Calls) != callsAtOnce || own != 2 {
		t.Errorf("what is called once doesn't come first: %+v", first.Calls)
	}
	without := drawn(nil, false)
	if seen(without, "kzalloc<<f") > 0 {
		t.Error("what isn't a site fails")
	}
	for i, list := range drawn([]calls.Site{}, true) {
		if !slices.Equal(list, without[i]) {
			t.Fatal("without own sites other calls are drawn at the end")
		}
	}
}

// TestCourses: whatever calls may fail in the course of touches something.
func TestCourses(t *testing.T) {
	for _, course := range calls.Ops {
		if len(CourseTouches(course)) == 0 {
			t.Errorf("%s touches nothing", course)
		}
	}
}

// TestBeside: whatever has calls fail beside another kind has that kind's needs.
func TestBeside(t *testing.T) {
	s := NewState(guests.PSeries, vm.Budget{VCPURemove: true}, Share{})
	for _, kind := range Kinds.All() {
		if kind.Beside == nil {
			continue
		}
		if _, ok := kind.Zero().(Reporter); !ok || kind.Beside.Draw(rand.New(rand.NewPCG(1, 1)), s) == nil && kind.Draw(rand.New(rand.NewPCG(1, 1)), s) != nil {
			t.Errorf("%s stands beside %s", kind.Name, kind.Beside.Name)
		}
	}
}
