// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"strings"
	"testing"

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
		"s_active#12":                             "kn->active",
		"cpu_hotplug.lock":                        "cpu_hotplug_lock",
		"&(&rq->lock)->rlock/1":                   "&rq->__lock/1",
		"(&(&krcp->monitor_work)->work)":          "(work_completion)(&(&krcp->monitor_work)->work)",
		"(&app->join_timer)":                      "(&app->join_timer)",
		"\"events\"":                              "(wq_completion)events",
		"(wq_completion)\"events\"":               "(wq_completion)events",
		"\"%s\"(\"ipv6_addrconf\")":               "(wq_completion)ipv6_addrconf",
		"(wq_completion)wg-kex-wireguard1":        "(wq_completion)wg-kex-wireguard%d",
		"(wq_completion)hci0#2":                   "(wq_completion)hci%d",
		"(wq_completion)pseries hotplug workqueue": "(wq_completion)pseries hotplug workqueue",
		"(addr_chk_work).work":                     "(addr_chk_work).work",
		"(softirq_ctrl.lock)":                      "(softirq_ctrl.lock)",
		"__key.123":                                "__key",
	} {
		if got := normalizeClass(in); got != want {
			t.Errorf("normalizeClass(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNormalizeClassTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`["(&]*[a-z_()>&#"/0-9 .%-]{0,30}(->rlock|\.rw_sem|work\))?`).Draw(t, "name")
		once := normalizeClass(name)
		if twice := normalizeClass(once); twice != once {
			t.Errorf("%q becomes %q, and that %q", name, once, twice)
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
