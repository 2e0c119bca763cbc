// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"regexp"
	"slices"

	"plugstorm/harness/frame"
)

// A helperRule names functions that acquire a lock for their caller, with the
// mode in which they do, where the name tells.
type helperRule struct {
	reason string
	mode   Mode
	names  *regexp.Regexp // of a whole function name, compiler suffixes cut
}

func helper(reason string, mode Mode, names string) helperRule {
	return helperRule{reason, mode, regexp.MustCompile(`^(?:` + names + `)$`)}
}

// helpers is what Site leaves out. It is short on purpose: a function that
// does something else besides is a site.
var helpers = []helperRule{
	helper("lockdep and its way of printing", "",
		`_*lock_acquire\w*|lock_sync|validate_chain|__bfs\w*|check_\w+|mark_\w+|print_\w+|_*dump_stack\w*|show_stack\w*|\w*dump_backtrace|lockdep_\w+|seqcount_lockdep_\w+|`+
			`lock_contended|lock_acquired|trace_(?:hard|soft)irqs_\w+|save_trace|task_wait_context`),
	helper("readers' side of a lock", Read,
		`_*down_read\w*|_*percpu_down_read\w*|percpu_rwsem_\w*read\w*|rwsem_down_read_\w+|rwbase_read_\w+|rwsem_acquire_read|`+
			`_*(?:raw_)?read_lock\w*|do_raw_read_lock|queued_read_lock\w*|rt_read_lock\w*|_*rcu_read_lock\w*|srcu_read_lock\w*|`+
			`cpus_read_(?:try)?lock|get_online_cpus|get_online_mems|mmap_read_\w*lock\w*|inode_lock_shared\w*|filemap_invalidate_lock_shared|vma_start_read`),
	helper("writers' side of a lock", Write,
		`_*down_write\w*|percpu_down_write\w*|rwsem_down_write_\w+|rwbase_write_\w+|_*(?:raw_)?write_lock\w*|do_raw_write_lock|queued_write_lock\w*|rt_write_lock\w*|`+
			`cpus_write_lock|cpu_hotplug_begin|mmap_write_\w*lock\w*|filemap_invalidate_lock|vma_start_write`),
	helper("locks that have no readers", Exclusive,
		`_*mutex_\w*lock\w*|_*ww_mutex_\w*lock\w*|_*rt_mutex_\w*lock\w*|rt_spin_\w*lock\w*|_*(?:raw_)?spin_\w*lock\w*|do_raw_spin_\w*lock|queued_spin_lock_slowpath|_*raw_spin_rq_lock\w*|`+
			`bit_spin_lock|_*down(?:_interruptible|_killable|_timeout|_trylock)?|console_lock|console_trylock|lock_sock\w*|rtnl_lock\w*|inode_lock\w*|`+
			`lock_device_hotplug\w*|cpu_maps_update_begin|device_lock\w*|cgroup_lock|cpuset_lock|slab_lock\w*|local_lock\w*`),
	helper("takes cpu_hotplug_lock for reading, then mem_hotplug_lock for writing", "", `mem_hotplug_begin`),
	helper("acts on all CPUs, or on code, with cpu_hotplug_lock held for its caller", "",
		`stop_machine|_*static_key_\w+|jump_label_\w+|text_poke_\w+|on_each_cpu\w*`),
	helper("removes a file, and waits for its readers: who removes it matters", Write, `kernfs_drain|__kernfs_remove`),
	helper("the way from the object that goes away to its files", "",
		`kernfs_remove\w*|_*kernfs_\w+_remove\w*|sysfs_remove_\w+|_*sysfs_\w*unlink\w*|remove_files|internal_create_group|device_remove_\w+|device_(?:del|unregister|destroy)|bus_remove_\w+|`+
			`_*kobject_(?:del|put|cleanup|release)|kref_put|dpm_sysfs_remove|cdev_device_del`),
	helper("waits for work of its caller", "",
		`_*flush_(?:work|delayed_work|workqueue)\w*|start_flush_work|_*cancel_(?:work|delayed_work)\w*|touch_w\w+_lockdep_map|drain_workqueue|destroy_workqueue`),
	helper("the context that runs work items, timers and callbacks, whose locks stand for them", "",
		`process_one_work|process_scheduled_works|worker_thread|kthread|ret_from_\w+|start_kernel_thread|call_timer_fn|expire_timers|rcu_do_batch|cpuhp_lock_acquire`),
	helper("claims a lock for what may happen, such as a page fault", "", `_*might_\w+|\w*fs_reclaim_acquire`),
	helper("waits for completion, with a lock class that stands for it", "", `_*wait_for_\w*common|wait_for_completion\w*|_*wait_rcu_gp|synchronize_srcu\w*|_*synchronize_srcu`),
}

// ruleFor returns the rule that the function falls under, or nil.
func ruleFor(fn string) *helperRule {
	fn = frame.Bare(fn)
	for i := range helpers {
		if helpers[i].names.MatchString(fn) {
			return &helpers[i]
		}
	}
	return nil
}

// Site returns the function of a stack, innermost first, on whose behalf a
// lock was acquired: the first one that isn't a locking primitive or a mere
// way to one. Where all are, it is the first that isn't lockdep's; of an empty
// stack, "".
func Site(stack []string) string {
	for _, fn := range stack {
		if ruleFor(fn) == nil {
			return frame.Bare(fn)
		}
	}
	if stack = trimmed(stack); len(stack) > 0 {
		return frame.Bare(stack[0])
	}
	return ""
}

// trimmed leaves out what lockdep itself adds at the top of a stack.
func trimmed(stack []string) []string {
	i := slices.IndexFunc(stack, func(fn string) bool { return ruleFor(fn) != &helpers[0] })
	if i < 0 {
		return stack
	}
	return stack[i:]
}

// modeOf returns the mode that a function's name tells, or "".
func modeOf(fn string) Mode {
	if fn == "" {
		return ""
	}
	if r := ruleFor(fn); r != nil {
		return r.mode
	}
	return ""
}

// stackMode returns the mode in which a stack acquired its lock: that of the
// first function that tells, before one that isn't a helper.
func stackMode(stack []string) Mode {
	for _, fn := range stack {
		r := ruleFor(fn)
		if r == nil {
			return ""
		}
		if r.mode != "" {
			return r.mode
		}
	}
	return ""
}
