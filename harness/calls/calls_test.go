// SPDX-License-Identifier: Apache-2.0

package calls_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/calls"
)

func TestParse(t *testing.T) {
	got, err := calls.Parse(`# a file

# mm/a.c:f,
# which its caller takes
memory-add,block-online f<g ENOMEM,=-46 nth=3 arg=MEM_GOING_ONLINE machine=x86_64,pseries once
# mm/b.c:h
pgmap h SIGNAL
`, "test")
	want := []calls.Site{
		{Ops: []string{"memory-add", "block-online"}, Func: "f<g", Errnos: []string{"ENOMEM", "=-46"}, Nth: 3, Arg: "MEM_GOING_ONLINE", Machines: []string{"x86_64", "pseries"},
			Once: true, Source: "mm/a.c:f, which its caller takes"},
		{Ops: []string{"pgmap"}, Func: "h", Errnos: []string{"SIGNAL"}, Nth: 1, Source: "mm/b.c:h"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if !got[0].Fits("block-online", "pseries") || got[0].Fits("block-online", "pseries-be") || got[0].Fits("pgmap", "pseries") || !got[1].Fits("pgmap", "pseries-be") {
		t.Error("a site fits where it shouldn't, or not where it should")
	}
}

func TestParseErrors(t *testing.T) {
	for _, line := range []string{
		"memory-add f", "memory f ENOMEM", "memory-add f< ENOMEM", "memory-add f<g<h ENOMEM", "memory-add f;g ENOMEM", "memory-add f EWHAT", "memory-add f ENOMEM,",
		"memory-add f =x", "memory-add f ENOMEM nth=0", "memory-add f ENOMEM nth=65", "memory-add f ENOMEM arg=8", "memory-add f ENOMEM twice", "memory-add " + strings.Repeat("f", 64) + " ENOMEM",
	} {
		if got, err := calls.Parse("# why\n"+line, "test"); err == nil || !strings.Contains(err.Error(), "test: line 2") {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
	}
	if _, err := calls.Parse("memory-add f ENOMEM", "test"); err == nil {
		t.Error("a line without a source is taken")
	}
}

// TestSites: each line of our lists is there once, says a kernel file, and each
// op has something on each machine.
func TestSites(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range calls.Sites {
		key := fmt.Sprint(s.Func, s.Errnos, s.Ops)
		if seen[key] {
			t.Errorf("%s is there twice", key)
		}
		seen[key] = true
		file, _, ok := strings.Cut(s.Source, ":")
		if !ok || !strings.HasSuffix(file, ".c") && file != "arch" {
			t.Errorf("%s: the comment doesn't begin with a kernel file and a function: %q", s.Func, s.Source)
		}
	}
	if len(calls.Sites) < 40 {
		t.Errorf("%d sites", len(calls.Sites))
	}
	for _, op := range calls.Ops {
		for _, machine := range []string{"x86_64", "pseries", "pseries-be"} {
			if len(calls.For(calls.Sites, op, machine)) < 2 {
				t.Errorf("%s on %s: %d sites", op, machine, len(calls.For(calls.Sites, op, machine)))
			}
		}
	}
}

// TestModule holds what we say against what the module understands.
func TestModule(t *testing.T) {
	source, err := os.ReadFile("../../workloads/kmod/plugstorm_fail.c")
	if err != nil {
		t.Fatal(err)
	}
	for _, errno := range slices.Concat(calls.Errnos, calls.Args) {
		if !strings.Contains(string(source), `"`+errno+`"`) {
			t.Errorf("the module doesn't know %s", errno)
		}
	}
	for _, text := range []string{calls.Header, "#define FAIL_NAME	64", `"off "`} {
		if !strings.Contains(string(source), text) {
			t.Errorf("the module has no %q any more: change this package as well", text)
		}
	}
	call := calls.Call{Func: "f<g", Errno: "ENOMEM", Nth: 2, Arg: "MEM_GOING_ONLINE"}
	if call.Arm() != "f<g ENOMEM 2 MEM_GOING_ONLINE" || call.Disarm() != "off f<g" || (calls.Call{Func: "f", Errno: "NULL"}).Arm() != "f NULL 1" {
		t.Errorf("%q, %q", call.Arm(), call.Disarm())
	}
}

// TestDeck: each site has its turn before one comes again, those that are called
// once first, and the seed decides.
func TestDeck(t *testing.T) {
	sites := []calls.Site{{Func: "a", Errnos: []string{"EIO", "EBUSY"}, Nth: 9}, {Func: "b", Errnos: []string{"EIO"}, Nth: 1}, {Func: "c", Errnos: []string{"EIO"}, Nth: 1, Once: true}}
	deal := func(seed uint64) (all []calls.Call) {
		r := rand.New(rand.NewPCG(seed, 0))
		d := calls.NewDeck(r, sites)
		for range 3 {
			if !slices.EqualFunc(d.Draw(r, 2), d.Draw(r, 2), func(a, b calls.Call) bool { return a.Func == b.Func }) {
				t.Error("a draw changes the deck")
			}
			all = append(all, d.Draw(r, 2)...)
			d.Deal(2)
		}
		return all
	}
	count := map[string]int{}
	for _, call := range deal(1) {
		count[call.Func]++
		if call.Nth < 1 || call.Nth > 9 {
			t.Errorf("%+v", call)
		}
	}
	if count["a"] != 2 || count["b"] != 2 || count["c"] != 2 || deal(1)[0].Func != "c" {
		t.Errorf("%v, %v", count, deal(1))
	}
	last := calls.NewDeck(rand.New(rand.NewPCG(1, 1)), append([]calls.Site{{Func: "e", Errnos: []string{"EIO"}, Nth: 1, Last: true}}, sites...))
	if got := last.Draw(rand.New(rand.NewPCG(1, 1)), 2); got[0].Func != "e" || got[1].Func != "c" {
		t.Errorf("at a guest's end %v", got)
	}
	for _, want := range []int{0, 1, 0} {
		if got := last.Firsts(); got != want {
			t.Errorf("%d in a row are called once, want %d", got, want)
		}
		last.Deal(1)
	}
	if !slices.Equal(deal(7), deal(7)) {
		t.Error("a seed doesn't decide")
	}
	if got := calls.NewDeck(rand.New(rand.NewPCG(1, 1)), nil).Draw(rand.New(rand.NewPCG(1, 1)), 3); len(got) > 0 {
		t.Errorf("no sites make %v", got)
	}
}

func TestParseStatus(t *testing.T) {
	const text = calls.Header + `
call f symbol=f.isra.0 state=ok value=-12 nth=1 calls=3 fired=1 missed=0
call f<g symbol=f state=unavailable:2 value=-12 nth=1 calls=0 fired=0 missed=0
call bad symbol=bad state=what value=-12 nth=1 calls=0 fired=0 missed=0
call worse symbol=worse state=ok
`
	f, g := calls.Call{Func: "f", Errno: "ENOMEM", Nth: 1}, calls.Call{Func: "f<g", Errno: "ENOMEM", Nth: 1}
	if got, err := calls.ParseStatus(text, f); err != nil || got != (calls.Report{Call: f, Fired: true, Calls: 3}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := calls.ParseStatus(text, g); err != nil || got != (calls.Report{Call: g, Unavailable: "errno 2"}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, name := range []string{"bad", "worse", "none"} {
		if got, err := calls.ParseStatus(text, calls.Call{Func: name}); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := calls.ParseStatus("plugstorm_fail 2\n", f); err == nil {
		t.Error("another format is taken")
	}
}

func TestTally(t *testing.T) {
	result := func(f string, fired bool, why string) calls.Result {
		return calls.Report{Call: calls.Call{Func: f}, Fired: fired, Unavailable: why}.Result()
	}
	got := calls.NewTally([]calls.Result{result("b", false, ""), result("a", true, ""), result("b", true, ""), result("c", false, ""), result("d", false, "errno 2")}, []string{"z", "a", "y", "y"})
	want := &calls.Tally{
		Fired:    2,
		NotFired: []calls.Unmade{{Func: "c", Why: calls.WhyNotCalled}, {Func: "d", Why: "errno 2"}},
		NotTried: []string{"y", "z"},
		Results: []calls.Result{
			{Func: "a", Tried: 1, Fired: 1}, {Func: "b", Tried: 2, Fired: 1}, {Func: "c", Tried: 1}, {Func: "d", Tried: 1, Unavailable: "errno 2"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if calls.NewTally(nil, []string{"a"}) != nil {
		t.Error("nothing makes a tally")
	}
}
