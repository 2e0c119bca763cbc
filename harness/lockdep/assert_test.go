// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"strings"
	"testing"
)

func TestParseWarning(t *testing.T) {
	for _, c := range []struct {
		what, function, text string
		kind                 Kind
		classes, rule, where string
	}{
		{"out of line", "lockdep_assert_cpus_held", "WARNING: CPU: 0 PID: 62 at kernel/cpu.c:527 lockdep_assert_cpus_held+0x58/0x74",
			Assertion, "cpu_hotplug_lock", "cpu_hotplug_lock held", "kernel/cpu.c:527"},
		{"suffix", "lockdep_assert_in_softirq_func.cold", "WARNING: CPU: 0 PID: 62 at kernel/softirq.c:27 lockdep_assert_in_softirq_func+0x58/0x74",
			Assertion, "", "in softirq", "kernel/softirq.c:27"},
		{"condition", "slab_shrink", "WARNING: [debug_locks && !(lock_is_held(&(&slab_mutex)->dep_map) != 0)] mm/slub.c:99 at slab_shrink+0x58/0x74, CPU#0: a/1",
			Assertion, "&slab_mutex", "debug_locks && !(lock_is_held(&(&slab_mutex)->dep_map) != 0)", "mm/slub.c:99"},
		{"rtnl", "call_netdevice_notifiers_info", "RTNL: assertion failed at net/core/dev.c (1877)\nWARNING: CPU: 0 PID: 62 at net/core/dev.c:1877 call_netdevice_notifiers_info+0x58/0x74",
			Assertion, "rtnl_mutex", "rtnl_mutex held", "net/core/dev.c:1877"},
		{"self-check", "__mutex_lock", "DEBUG_LOCKS_WARN_ON(lock->magic != lock)\nWARNING: CPU: 1 PID: 84 at kernel/locking/mutex.c:564 __mutex_lock+0x9a/0x3e3",
			SelfCheck, "", "lock->magic != lock", "kernel/locking/mutex.c:564"},
		{"other condition", "f", "WARNING: [ptr != NULL] mm/slub.c:99 at f+0x58/0x74, CPU#0: a/1", "", "", "", ""},
		{"other warning", "online_pages", "WARNING: CPU: 0 PID: 62 at mm/memory_hotplug.c:527 online_pages+0x58/0x74", "", "", "", ""},
		{"not an assertion", "lockdep_init_map_type", "WARNING: CPU: 0 PID: 62 at kernel/locking/lockdep.c:527 lockdep_init_map_type+0x58/0x74", "", "", "", ""},
	} {
		r, ok := ParseWarning(strings.Split(c.text, "\n"), c.function)
		if ok != (c.kind != "") {
			t.Errorf("%s: recognised %v", c.what, ok)
			continue
		}
		if !ok {
			continue
		}
		if got := strings.Join(r.Classes, " "); r.Kind != c.kind || got != c.classes || r.Rule != c.rule || r.Where != c.where {
			t.Errorf("%s: %s %q %q %q", c.what, r.Kind, got, r.Rule, r.Where)
		}
		if s := r.Sentence(); !strings.Contains(s, c.rule) || !strings.Contains(s, c.where) {
			t.Errorf("%s: %s", c.what, s)
		}
	}
}

func TestKindOf(t *testing.T) {
	for heading, want := range map[string]Kind{
		"WARNING: possible circular locking dependency detected":                    Circular,
		"[ INFO: possible recursive locking detected ]":                             Recursive,
		"WARNING: SOFTIRQ-READ-safe -> SOFTIRQ-READ-unsafe lock order detected":     IRQUnsafe,
		"[ INFO: RECLAIM_FS-safe -> RECLAIM_FS-unsafe lock order detected ]":        IRQUnsafe,
		"WARNING: possible irq lock inversion dependency detected":                  IRQInversion,
		"[ INFO: inconsistent lock state ]":                                         InconsistentState,
		"WARNING: bad unlock balance detected!":                                     BadUnlock,
		"WARNING: bad contention detected!":                                         BadContention,
		"[ BUG: held lock freed! ]":                                                 HeldLockFreed,
		"WARNING: a b/7 still has locks held!":                                      StillHeld,
		"[ BUG: lock held at task exit time! ]":                                     StillHeld,
		"WARNING: lock held when returning to user space!":                          ReturnsHolding,
		"[ BUG: Invalid wait context ]":                                             InvalidWait,
		"WARNING: Nested lock was not taken":                                        NestNotTaken,
		"WARNING: suspicious RCU usage":                                             SuspiciousRCU,
		"BUG: workqueue leaked lock or atomic: kworker/0:0/0x00000000/4":            WorkLeak,
		"INFO: trying to register non-static key.":                                  Unregistered,
		"BUG: key ffff888004a7b8a0 has not been registered!":                        Unregistered,
		"BUG: key ffff888004a7b8a0 not in .data!":                                   Unregistered,
		"WARNING: CPU: 0 PID: 1 at kernel/locking/lockdep.c:1 lock_release+0x1/0x2": "",
		"BUG: MAX_LOCKDEP_CHAINS too low!":                                          "",
		"":                                                                          "",
	} {
		if got := kindOf(heading); got != want {
			t.Errorf("kindOf(%q) = %q, want %q", heading, got, want)
		}
	}
}

func TestParseFrame(t *testing.T) {
	for line, want := range map[string]string{
		"       cpus_read_lock+0x36/0x7f":                                                 "cpus_read_lock",
		"       [<ffffffff8121a8d3>] __kernfs_remove+0x2b3/0x390":                         "__kernfs_remove",
		"[c0000000035d7630] [c0000000000f7704] __lock_acquire+0x10e8/0x13f0":              "__lock_acquire",
		"[c0000000035d74d0] [c00000000049d9c4] dump_stack_lvl+0x6c/0x114 (unreliable)":    "",
		" ([<00000001003cfe5a>] show_stack+0x8a/0xa0)":                                    "show_stack",
		" show_stack from dump_stack_lvl+0xa2/0x306":                                      "dump_stack_lvl",
		" [<c0104a54>] (unwind_backtrace+0x1/0x2) from [<c0101b0c>] (show_stack+0x1/0x2)": "show_stack",
		" ? __kernfs_remove+0xba/0x135":                                                   "",
		" __raw_spin_lock include/linux/spinlock_api_smp.h:144 [inline]":                  "__raw_spin_lock",
		" </TASK>":             "",
		"RIP: 0033:0x40a835":   "",
		"process runs from it": "",
	} {
		if got := frameOf(line); got != want {
			t.Errorf("frameOf(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestSite(t *testing.T) {
	for _, c := range []struct {
		want  string
		mode  Mode
		stack string
	}{
		{"kmem_cache_destroy", Read, "__lock_acquire lock_acquire cpus_read_lock kmem_cache_destroy kthread"},
		{"try_online_node", Write, "percpu_down_write mem_hotplug_begin try_online_node cpu_up"},
		{"build_all_zonelists", Read, "dump_stack_lvl print_deadlock_bug __lock_acquire lock_acquire cpus_read_lock stop_machine build_all_zonelists"},
		{"pseries_lpar_resize_hpt", Read, "lock_acquire cpus_read_lock stop_machine pseries_lpar_resize_hpt"},
		{"remove_memory_block", Write, "lock_acquire kernfs_drain __kernfs_remove kernfs_remove_by_name_ns sysfs_remove_file_ns device_remove_file device_remove_attrs device_del device_unregister remove_memory_block"},
		{"slub_cpu_dead", Exclusive, "__mutex_lock.constprop.0 mutex_lock_nested slub_cpu_dead.cold"},
		{"process_one_work", "", "process_one_work worker_thread kthread ret_from_fork"},
		{"", "", ""},
	} {
		stack := strings.Fields(c.stack)
		if got := Site(stack); got != c.want {
			t.Errorf("Site(%s) = %q, want %q", c.stack, got, c.want)
		}
		if got := stackMode(stack); got != c.mode {
			t.Errorf("stackMode(%s) = %q, want %q", c.stack, got, c.mode)
		}
	}
}
