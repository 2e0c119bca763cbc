// SPDX-License-Identifier: Apache-2.0

package triage

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plugstorm/harness/lockdep"
	"plugstorm/harness/splat"
	"plugstorm/harness/waitfor"
)

// circle makes a circular complaint about lock classes, in their order.
func circle(classes ...string) splat.Finding {
	r := &lockdep.Report{Kind: lockdep.Circular, Classes: slices.Sorted(slices.Values(classes))}
	for i, class := range classes {
		r.Edges = append(r.Edges, lockdep.Edge{From: class, To: classes[(i+1)%len(classes)]})
	}
	return splat.Finding{
		Title: "possible deadlock in take_" + classes[0], Type: splat.TypeLockdep, Locks: r, Identity: "lockdep: " + r.Signature(),
		Stack: []string{"lock_acquire", "take_" + classes[0], "kthread"},
	}
}

func crash(fn, caller string) splat.Finding {
	return splat.Finding{Title: "general protection fault in " + fn, Type: splat.TypeDoS, Identity: "fault: " + fn + " < " + caller, Stack: []string{fn, caller}, Fatal: true}
}

func panicked() splat.Finding {
	return splat.Finding{Title: "kernel panic: Fatal exception", Type: splat.TypeDoS, Identity: "panic: Fatal exception", Fatal: true}
}

// hung makes the hang in which two tasks wait for each other's lock.
func hung(a, b string) splat.Finding {
	lock := func(name string) waitfor.Object { return waitfor.Object{Kind: waitfor.Mutex, Name: name} }
	g := &waitfor.Graph{
		Waits: []waitfor.Wait{
			{Task: "x/1", Object: lock(b), Holds: []waitfor.Object{lock(a)}, By: []waitfor.Block{{Task: "y/2", Why: waitfor.Holds}}},
			{Task: "y/2", Object: lock(a), Holds: []waitfor.Object{lock(b)}, By: []waitfor.Block{{Task: "x/1", Why: waitfor.Holds}}},
		},
		Cycle: []int{0, 1},
	}
	return splat.Finding{Title: "INFO: task hung in f", Type: splat.TypeHang, Waits: g, Identity: "hang: " + a + " " + b, Stack: []string{"schedule", "f"}}
}

func logOf(file string, found ...splat.Finding) *Log {
	l := &Log{File: file}
	for _, f := range found {
		l.Findings = append(l.Findings, Finding{Finding: f})
	}
	return l
}

// TestComparePartly: logs that weren't looked at to their ends may be different,
// or not; that they show the same bug is true all the same.
func TestComparePartly(t *testing.T) {
	whole := logOf("whole", crash("f", "g"))
	broken, dropped, many := logOf("broken", crash("h", "i")), logOf("dropped", crash("h", "i")), logOf("many")
	broken.Error, dropped.Dropped = "it is damaged", 3
	for i := range maxCompared + 1 {
		many.Findings = append(many.Findings, Finding{Finding: crash(fmt.Sprint("h", i), "i")})
	}
	for _, l := range []*Log{broken, dropped, many} {
		for _, c := range []Comparison{Compare(whole, l), Compare(l, whole)} {
			if c.Same != Unknown || !strings.Contains(c.Why, l.File+" ") || c.Diff == nil {
				t.Errorf("%s: %s, %q", l.File, c.Same, c.Why)
			}
		}
		l.Findings[0].Finding = whole.Findings[0].Finding
		if c := Compare(whole, l); c.Same != Same {
			t.Errorf("%s: %s, %q", l.File, c.Same, c.Why)
		}
	}
}

func TestCompare(t *testing.T) {
	cut := crash("f", "corrupted")
	cut.Title, cut.Corrupted = "general protection fault in corrupted", true
	renamed := circle("a", "b")
	renamed.Identity, renamed.Locks.Kind = "lockdep: irq", lockdep.IRQInversion
	lost := splat.Finding{Title: "lockdep: out of entries", Type: splat.TypeLostSight, Identity: "lost"}
	reboot := splat.Finding{Title: "unexpected kernel reboot", Type: splat.TypeReboot, Identity: "reboot"}
	for _, tt := range []struct {
		name string
		a, b []splat.Finding
		same Answer
		why  string
	}{
		{"nothing", nil, nil, Unknown, "neither log shows a complaint"},
		{"nothing in one", []splat.Finding{crash("f", "g")}, nil, Unknown, "B shows no complaint"},
		{"lost sight is no complaint", []splat.Finding{lost}, []splat.Finding{lost}, Unknown, "neither"},
		{"one", []splat.Finding{crash("f", "g")}, []splat.Finding{crash("f", "g")}, Same, "the same identity: fault: f < g"},
		{"one among others", []splat.Finding{circle("x", "y"), crash("f", "g")}, []splat.Finding{crash("f", "g")}, Same, "the same identity"},
		{"the cycle from its other side", []splat.Finding{circle("a", "b")}, []splat.Finding{circle("b", "a")}, Same, "the same identity"},
		{"the edges, of different kinds", []splat.Finding{circle("a", "b")}, []splat.Finding{renamed}, Same, "the same lock dependencies: a -> b, b -> a"},
		{"a detour", []splat.Finding{circle("b", "a")}, []splat.Finding{circle("b", "c", "a")}, Same, "closes both cycles: b is taken under a"},
		{"one edge", []splat.Finding{circle("a", "b", "c")}, []splat.Finding{circle("d", "a", "b")}, Unknown, "a -> b"},
		{"no edge", []splat.Finding{circle("a", "b")}, []splat.Finding{circle("c", "d")}, Different, "no lock dependency in common"},
		{"predicted", []splat.Finding{circle("a", "b")}, []splat.Finding{hung("b", "a")}, Same, "has happened in the other: "},
		{"predicted, other way round", []splat.Finding{hung("b", "a")}, []splat.Finding{circle("a", "b")}, Same, "has happened in the other: "},
		{"not predicted", []splat.Finding{circle("a", "b")}, []splat.Finding{hung("a", "c")}, Different, "different types: LOCKDEP and HANG"},
		{"one function", []splat.Finding{crash("f", "g")}, []splat.Finding{crash("f", "h")}, Unknown, `both can be called "general protection fault in f"`},
		{"other function", []splat.Finding{crash("f", "g")}, []splat.Finding{crash("e", "g")}, Different, "about different functions: f and e"},
		{"cut off", []splat.Finding{cut}, []splat.Finding{crash("e", "g")}, Unknown, "is cut off"},
		{"the same end of different bugs", []splat.Finding{crash("f", "g"), panicked()}, []splat.Finding{crash("e", "h"), panicked()}, Unknown, "only behind something worse"},
		{"the end only", []splat.Finding{crash("f", "g"), panicked()}, []splat.Finding{panicked()}, Unknown, "may be a consequence"},
		{"behind a reboot it is no end", []splat.Finding{crash("f", "g"), reboot, panicked()}, []splat.Finding{panicked()}, Same, "same identity"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Compare(logOf("A", tt.a...), logOf("B", tt.b...))
			if c.Same != tt.same || !strings.Contains(c.Why, tt.why) {
				t.Errorf("%s, because %s; want %s, because ...%s...", c.Same, c.Why, tt.same, tt.why)
			}
			back := Compare(logOf("B", tt.b...), logOf("A", tt.a...))
			if back.Same != c.Same || back.A.Title != c.B.Title || back.B.Identity != c.A.Identity {
				t.Errorf("the other way round: %+v", back)
			}
		})
	}
}

func TestCompareTellsWhatDiffers(t *testing.T) {
	a, b := circle("a", "b"), circle("a", "b", "c")
	b.Stack = []string{"lock_acquire", "other", "take_a", "kthread"}
	c := Compare(logOf("A", a, crash("f", "g")), logOf("B", b, crash("e", "g")))
	want := []string{
		"  lock order: a -> b", "- lock order: b -> a", "+ lock order: b -> c", "+ lock order: c -> a",
		"+ other", "  take_a", "  kthread",
	}
	if diff := cmp.Diff(want, c.Diff); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]string{{"general protection fault in f"}, {"general protection fault in e"}}, [][]string{c.A.Only, c.B.Only}); diff != "" {
		t.Error(diff)
	}
}

// TestCompareIsReflexive: every sample that shows something shows the same bug
// as itself, and as itself with more around it.
func TestCompareIsReflexive(t *testing.T) {
	for name, input := range consoles(t) {
		l := logOf(name, splat.Find(input)...)
		more := logOf("more", append([]splat.Finding{circle("x", "y")}, splat.Find(input)...)...)
		want := Same
		if len(distinct(l.Findings)) == 0 {
			want = Unknown
		}
		for _, c := range []Comparison{Compare(l, l), Compare(l, more), Compare(more, l)} {
			if c.Same != want {
				t.Errorf("%s: %s: %s", name, c.Same, c.Why)
			}
		}
	}
}

// TestAgainst: the lists can be read back out of what sets them side by side,
// and no line that both have in the same place is lost.
func TestAgainst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"a", "b", "c"})
		a := rapid.SliceOfN(word, 0, 12).Draw(t, "a")
		b := rapid.SliceOfN(word, 0, 12).Draw(t, "b")
		var gotA, gotB []string
		for _, line := range against(a, b, "") {
			if line[0] != '+' {
				gotA = append(gotA, line[2:])
			}
			if line[0] != '-' {
				gotB = append(gotB, line[2:])
			}
		}
		if fmt.Sprint(gotA) != fmt.Sprint(a) || fmt.Sprint(gotB) != fmt.Sprint(b) {
			t.Errorf("%q against %q: %q, %q", a, b, gotA, gotB)
		}
		if slices.Equal(a, b) && len(against(a, b, "")) != len(a) {
			t.Errorf("%q against itself differs", a)
		}
	})
}

func TestArea(t *testing.T) {
	for _, tt := range []struct {
		finding Finding
		want    string
	}{
		{Finding{Finding: circle("kn->active", "mem_hotplug_lock")}, "mm"},
		{Finding{Finding: circle("kn->active", "cpu_hotplug_lock")}, "kernfs"},
		{Finding{Finding: circle("a", "b")}, ""},
		{Finding{Finding: crash("kcompactd_stop", "g")}, "mm"},
		{Finding{Finding: crash("my_driver_probe", "g")}, ""},
		{Finding{Finding: crash("f", "g"), Lines: []string{"WARNING: CPU: 0 PID: 1 at drivers/net/tun.c:12 f+0x1/0x2"}}, "drivers/net"},
		{Finding{Finding: crash("f", "g"), Lines: []string{"kernel BUG at mm/slub.c:12!"}}, "mm"},
		{Finding{Finding: crash("f", "g"), Lines: []string{"f+0x1/0x2"}, Places: map[string][]Place{"f+0x1/0x2": {{Func: "h", File: "include/linux/x.h"}, {Func: "f", File: "kernel/cpu.c"}}}}, "cpu/hotplug"},
	} {
		if got := Area(&tt.finding); got != tt.want {
			t.Errorf("%s %q: %q, want %q", tt.finding.Title, tt.finding.Lines, got, tt.want)
		}
	}
}

// oneSymbol is a Symbols that knows one function.
type oneSymbol struct{}

func (oneSymbol) Annotate(text string) (string, map[string][]Place) {
	const ref = "device_offline+0xd0/0x110"
	return strings.ReplaceAll(text, ref, ref+" (drivers/base/core.c:7)") + "\n(no place for the others)\n", map[string][]Place{ref: {{Func: "device_offline", File: "drivers/base/core.c", Line: 7}}}
}

func TestLocate(t *testing.T) {
	l, err := ReadInput("x", strings.NewReader(warning), 1)
	if err != nil {
		t.Fatal(err)
	}
	l.Locate(oneSymbol{})
	f := &l.Findings[0]
	if !slices.Contains(f.Lines, " device_offline+0xd0/0x110 (drivers/base/core.c:7)") {
		t.Errorf("lines %q", f.Lines)
	}
	if diff := cmp.Diff([]string{"(no place for the others)"}, f.Unlocated); diff != "" {
		t.Error(diff)
	}
	if got := f.PlacesOf("device_offline"); len(got) != 1 || got[0].Line != 7 || f.PlacesOf("memory_subsys_offline") != nil {
		t.Errorf("places %v", got)
	}
}
