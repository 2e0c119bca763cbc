// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"fmt"
	"strings"
	"testing"
)

// cycleOf prints and reads a cycle of the classes, the first one acquired last.
func cycleOf(t *testing.T, classes ...string) *Report {
	t.Helper()
	var cycle []acquisition
	for i, c := range classes {
		cycle = append(cycle, acquisition{c, "", []string{"lock_acquire", "down_write", fmt.Sprintf("f%d", i)}, false})
	}
	return parsed(t, styles[0].printCircular(cycle))
}

func TestImplied(t *testing.T) {
	for _, c := range []struct{ a, b []string }{
		// Seen in two runs of one kernel: what holds kn->active takes cpu_hotplug_lock
		// through mem_hotplug_begin in one, through cpu_down in the other.
		{[]string{"kn->active", "cpu_hotplug_lock", "mem_hotplug_lock"}, []string{"kn->active", "cpu_add_remove_lock", "cpu_hotplug_lock", "mem_hotplug_lock"}},
		{[]string{"cpu_hotplug_lock", "slab_mutex"}, []string{"cpu_hotplug_lock", "cpuhp_state-down", "slab_mutex"}},
		{[]string{"slab_mutex", "cpu_hotplug_lock"}, []string{"cpuhp_state-up", "slab_mutex", "cpu_hotplug_lock"}},
		{[]string{"slab_mutex", "cpu_hotplug_lock"}, []string{"slab_mutex", "cpu_add_remove_lock", "cpu_hotplug_lock", "cpuhp_state-up"}},
	} {
		a, b := cycleOf(t, c.a...), cycleOf(t, c.b...)
		if a.Signature() != b.Signature() {
			t.Errorf("%v is %q, %v is %q", c.a, a.Signature(), c.b, b.Signature())
		}
		if len(b.Edges) != len(c.b) {
			t.Errorf("%v: the model has only %v", c.b, b.Edges)
		}
	}
	// Two classes are a cycle of their own, and elsewhere they aren't implied.
	for _, classes := range [][]string{{"cpu_add_remove_lock", "cpu_hotplug_lock"}, {"cpu_add_remove_lock", "slab_mutex", "a"}, {"a", "cpuhp_state-up", "b"}} {
		if sig := cycleOf(t, classes...).Signature(); !strings.Contains(sig, "cpu_add_remove_lock") && !strings.Contains(sig, "cpuhp_state-up") {
			t.Errorf("%v: %s", classes, sig)
		}
	}
}

func TestRelated(t *testing.T) {
	recursive := func(site string) *Report {
		l := Lock{Class: "cpu_hotplug_lock", Site: site}
		return &Report{Kind: Recursive, Tried: &l, Holding: &l, Edges: []Edge{{From: l.Class, To: l.Class}}}
	}
	state := func(kind Kind, usage, class string) *Report {
		return &Report{Kind: kind, Usage: usage, Classes: []string{class}}
	}
	for _, c := range []struct {
		what string
		a, b *Report
		want Relation
		why  string
	}{
		{"rotation", cycleOf(t, "a", "b", "c"), cycleOf(t, "b", "c", "a"), Same, "lock classes"},
		{"detour", cycleOf(t, "a", "b"), cycleOf(t, "c", "b", "a"), Akin, "detour through c"},
		{"detour with the other side", cycleOf(t, "b", "a"), cycleOf(t, "a", "c", "b"), Akin, "detour through c"},
		{"one closing edge", cycleOf(t, "a", "x", "b"), cycleOf(t, "a", "y", "z", "b"), Akin, "both are closed by b -> a"},
		{"opposite direction", cycleOf(t, "a", "b", "c"), cycleOf(t, "c", "b", "a"), Unrelated, "no lock order in common"},
		{"only an old edge", cycleOf(t, "a", "b", "c"), cycleOf(t, "x", "a", "b", "d"), Unrelated, "they share a -> b"},
		{"disjoint", cycleOf(t, "a", "b"), cycleOf(t, "c", "d"), Unrelated, "no lock order"},
		{"recursion elsewhere", recursive("drain_all_pages"), recursive("build_all_zonelists"), Unrelated, "different code: drain_all_pages, build_all_zonelists"},
		{"usage and order", state(InconsistentState, "IN-SOFTIRQ-R -> SOFTIRQ-ON-W", "a"), state(IRQInversion, "SOFTIRQ", "a"), Akin, "interrupt context"},
		{"other irq", state(InconsistentState, "IN-HARDIRQ-W -> HARDIRQ-ON-W", "a"), state(IRQInversion, "SOFTIRQ", "a"), Unrelated, "different"},
		{"kinds", cycleOf(t, "a", "b"), state(StillHeld, "", "a"), Unrelated, "different"},
	} {
		for _, turned := range []bool{false, true} {
			a, b := c.a, c.b
			if turned {
				a, b = b, a
			}
			got, why := Related(a, b)
			if got != c.want || !turned && !strings.Contains(why, c.why) {
				t.Errorf("%s (turned %v): %s: %s", c.what, turned, got, why)
			}
		}
	}
}

// TestFiles: which file of sysfs a cycle went through is told, but is no part
// of the identity.
func TestFiles(t *testing.T) {
	cycle := func(store string) *Report {
		return parsed(t, styles[0].printCircular([]acquisition{
			{"kn->active", "#5", []string{"lock_acquire", "kernfs_drain", "kernfs_remove_by_name_ns", "device_remove_file", "remove_memory_block"}, false},
			{"mem_hotplug_lock", "", []string{"percpu_down_write", "mem_hotplug_begin", "memory_subsys_online", store, "dev_attr_store", "sysfs_kf_write", "kernfs_fop_write_iter"}, false},
		}))
	}
	a, b := cycle("state_store"), cycle("online_store")
	if a.Edges[0].FromIs != "state" || a.Edges[1].ToIs != "state" || b.Edges[0].FromIs != "online" {
		t.Errorf("files %+v, %+v", a.Edges, b.Edges)
	}
	if a.Signature() != b.Signature() {
		t.Errorf("%q and %q", a.Signature(), b.Signature())
	}
	if relation, why := Related(a, b); relation != Same || !strings.Contains(why, "through state and through online") {
		t.Errorf("%s: %s", relation, why)
	}
	if s := a.Sentence(); !strings.Contains(s, "kn->active (of the file state) for writing in remove_memory_block") {
		t.Error(s)
	}
}

// TestOneBug: reports of one bug, found in different ways.
func TestOneBug(t *testing.T) {
	for _, names := range [][]string{
		{"6.12-inversion-forward", "6.12-inversion-backward", "6.12-softirq-read-order"},
	} {
		want := read(t, names[0]).Signature()
		for _, name := range names[1:] {
			if got := read(t, name).Signature(); got != want {
				t.Errorf("%s: %q, but %s: %q", name, got, names[0], want)
			}
		}
	}
	forth := &Report{Kind: InconsistentState, Classes: []string{"a"}, Usage: "IN-SOFTIRQ-R -> SOFTIRQ-ON-W"}
	back := &Report{Kind: InconsistentState, Classes: []string{"a"}, Usage: "SOFTIRQ-ON-W -> IN-SOFTIRQ-W"}
	hard := &Report{Kind: InconsistentState, Classes: []string{"a"}, Usage: "HARDIRQ-ON-W -> IN-HARDIRQ-W"}
	if forth.Signature() != back.Signature() || forth.Signature() == hard.Signature() {
		t.Errorf("%q, %q, %q", forth.Signature(), back.Signature(), hard.Signature())
	}
}
