// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNormalizeClass(t *testing.T) {
	for in, want := range map[string]string{
		"kn->active#37":                           "kn->active",
		"sb_writers#3":                            "sb_writers",
		"&type->s_umount_key#33/1":                "&type->s_umount_key/1",
		"&pipe->mutex/1":                          "&pipe->mutex/1",
		"&(&info->lock)->rlock":                   "&info->lock",
		"&(&(&mapping->i_pages)->xa_lock)->rlock": "&(&mapping->i_pages)->xa_lock",
		"&(&s->seqcount)->rlock#2":                "&s->seqcount",
		"cpu_hotplug_lock.rw_sem":                 "cpu_hotplug_lock",
		"(work_completion)(&hpw->work)":           "(work_completion)(&hpw->work)",
		"(wq_completion)kacpi_hotplug#2":          "(wq_completion)kacpi_hotplug",
		" slab_mutex ":                            "slab_mutex",
		"a#b":                                     "a#b",
		"a/b":                                     "a/b",
		"":                                        "",
		"#1":                                      "",
	} {
		if got := NormalizeClass(in); got != want {
			t.Errorf("NormalizeClass(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNormalizeClassTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		once := NormalizeClass(rapid.StringMatching(`[a-z&()>#/0-9 .-]{0,30}`).Draw(t, "name"))
		if strings.HasPrefix(once, "&(") || strings.HasSuffix(once, ".rw_sem") {
			return // nested spellings may be peeled again
		}
		if twice := NormalizeClass(once); NormalizeClass(twice) != twice {
			t.Errorf("%q, then %q", once, twice)
		}
	})
}

const circular = `WARNING: possible circular locking dependency detected
6.12.117 #1 Not tainted
------------------------------------------------------
kworker/u8:2/41 is trying to acquire lock:
ffff888005c81e98 (kn->active#57){++++}-{0:0}, at: __kernfs_remove+0x25c/0x300

but task is already holding lock:
ffffffff82e5b2c0 (mem_hotplug_lock){++++}-{0:0}, at: mem_hotplug_begin+0x16/0x30

which lock already depends on the new lock.

the existing dependency chain (in reverse order) is:

-> #2 (mem_hotplug_lock){++++}-{0:0}:
       percpu_down_write+0x10/0x20
       memory_subsys_online+0x10/0x20

-> #1 (device_hotplug_lock){+.+.}-{4:4}:
       __mutex_lock+0x10/0x20

-> #0 (kn->active#57){++++}-{0:0}:
       lock_acquire+0x10/0x20
       kernfs_drain+0x10/0x20

other info that might help us debug this:

Chain exists of:
  kn->active#57 --> device_hotplug_lock --> mem_hotplug_lock

 *** DEADLOCK ***

1 lock held by kworker/u8:2/41:
 #0: ffffffff82e5b2c0 (mem_hotplug_lock){++++}-{0:0}, at: mem_hotplug_begin+0x16/0x30
`

func TestParseCircular(t *testing.T) {
	got, ok := Parse(strings.Split(circular, "\n"))
	if !ok {
		t.Fatal("not recognised")
	}
	mem := Lock{Class: "mem_hotplug_lock", Name: "mem_hotplug_lock", Addr: "ffffffff82e5b2c0", Usage: "++++", At: "mem_hotplug_begin"}
	want := &Report{
		Kind:    Circular,
		Classes: []string{"device_hotplug_lock", "kn->active", "mem_hotplug_lock"},
		Edges: []Edge{{"kn->active", "device_hotplug_lock"}, {"device_hotplug_lock", "mem_hotplug_lock"},
			{"mem_hotplug_lock", "kn->active"}},
		Task:    "kworker/u8:2/41",
		Tried:   &Lock{Class: "kn->active", Name: "kn->active#57", Addr: "ffff888005c81e98", Usage: "++++", At: "__kernfs_remove"},
		Holding: &mem,
		Chain: []Link{{"kn->active", []string{"lock_acquire", "kernfs_drain"}}, {"device_hotplug_lock", []string{"__mutex_lock"}},
			{"mem_hotplug_lock", []string{"percpu_down_write", "memory_subsys_online"}}},
		Held: []Lock{mem},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestSignature: a cycle has one name, whichever lock of it was tried last and
// whatever numbers its classes have.
func TestSignature(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"kn->active", "device_hotplug_lock", "mem_hotplug_lock", "slab_mutex", "cpu_hotplug_lock"}
		names = names[:rapid.IntRange(2, len(names)).Draw(t, "n")]
		sig := func(from int, instance string) string {
			var b strings.Builder
			b.WriteString("WARNING: possible circular locking dependency detected\nthe existing dependency chain (in reverse order) is:\n")
			for i := len(names) - 1; i >= 0; i-- {
				b.WriteString("\n-> #" + string(rune('0'+i)) + " (" + names[(from+i)%len(names)] + instance + "){+.+.}-{4:4}:\n       f+0x1/0x2\n")
			}
			r, _ := Parse(strings.Split(b.String(), "\n"))
			return r.Signature()
		}
		want := sig(0, "")
		if got := sig(rapid.IntRange(0, 4).Draw(t, "from"), rapid.SampledFrom([]string{"", "#3", "#77"}).Draw(t, "instance")); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestParseCutOff(t *testing.T) {
	lines := strings.Split(circular, "\n")
	for n := range lines {
		r, ok := Parse(lines[:n])
		if ok != (n > 0) {
			t.Fatalf("%d lines: recognised %v", n, ok)
		}
		if ok && n > 8 && len(r.Edges) == 0 {
			t.Errorf("%d lines: both locks are there, but no edge", n)
		}
	}
	if _, ok := Parse([]string{"BUG: soft lockup"}); ok {
		t.Error("took a soft lockup for lockdep's")
	}
}
