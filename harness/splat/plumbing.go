// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"

	"plugstorm/harness/frame"
)

// A plumbingRule names frames that say nothing about a complaint when they
// stand at the top of its stack: the complaint is named after the first frame
// that isn't plumbing.
type plumbingRule struct {
	reason string
	names  *regexp.Regexp // of a whole function name, compiler suffixes cut
	helper bool           // real kernel code that worked for its caller: skipped in titles only
}

// noise is a rule for frames that only report; helper for real kernel code.
func noise(reason, names string) plumbingRule {
	return plumbingRule{reason, regexp.MustCompile(`^(?:` + names + `)$`), false}
}

func helper(reason, names string) plumbingRule {
	return plumbingRule{reason, regexp.MustCompile(`^(?:` + names + `)$`), true}
}

// plumbing is the skip list for every complaint. The slab, percpu and page
// allocators and CPU and memory hot-plug aren't in it: they are what we test.
// Where a helper of theirs is skipped in a title (a mutex, a workqueue, the
// device model), an Alt title has it, and Stack and identity keep it.
var plumbing = []plumbingRule{
	noise("prints the complaint",
		`dump_stack\w*|show_stack\w*|\w*_backtrace\w*|__dump_stack|\w*panic\w*|__warn\w*|warn_slowpath\w*|warn_alloc\w*|warn_bogus_\w+|`+
			`report_bug|fixup_bug|handle_bug|bug_handler|brk_handler|call_break_hook|do_debug_exception|print_\w+|die\w*|__die|oops_\w+|bust_spinlocks|assertfail|\w*_assert_fail\w*|stack_chk\w*|__stack_chk\w*|`+
			`bad_page|__schedule_bug|spin_dump|spin_bug|slab_err|slab_bug|object_err|check_preemption_disabled|debug_smp_processor_id|create_object|kmemleak\w*|rust_helper_\w+|\w*rust_begin_unwind|\w*core9panicking\w*|nmi_\w+`),
	noise("trap entry: where the CPU went to complain, not where it was",
		`(?:do_|asm_exc_|exc_)?invalid_op|do_error_trap|do_trap\w*|exc_\w+|asm_exc_\w+|program_check_\w+|\w+_exception_common|`+
			`page_fault_oops|no_context|\w*bad_area\w*|do_user_addr_fault|do_kern_addr_fault|kernelmode_fixup_or_oops|`+
			`__do_kernel_fault|do_tag_check_fault|do_mem_abort|do_translation_fault|_*do_page_fault|el1\w*|`+
			`\w*pgm_check\w*|monitor_event_exception|illegal_op|do_dat_exception|do_protection_exception|`+ // s390x
			`_*bad_page_fault|data_access_\w+|instruction_access_\w+|interrupt_return_\w+|`+ // powerpc
			`handle_exception|ret_from_exception|handle_page_fault|`+ // riscv
			`do_(?:bp|ade|ale|ri|fpe)|handle_(?:bp|ade|ale|ri|fpe|tlb\w*)\w*|tlb_do_page_fault\w*|`+ // mips, loongarch
			`do_undefinstr|do_DataAbort|do_PrefetchAbort|__und_svc\w*`), // arm
	noise("instrumentation that the compiler adds, and what checks the access for it",
		`\w*kasan\w*|\w*kmsan\w*|\w*kcsan\w*|\w*ubsan\w*|\w*asan_\w+|__msan\w*|__tsan\w*|__sanitizer\w*|check_memory_region\w*|read_word_at_a_time|instrument_\w+`),
	noise("the unwinder", `save_stack\w*|stack_trace_\w+|unwind_\w+|walk_stackframe|arch_stack_walk|\w*stack_depot\w*`),
	noise("lockdep itself, and the assertions around it",
		`\w*lockdep\w*|_*lock_(?:acquire|release)\w*|\w*lock_class\w*|reacquire_held_locks|mark_lock\w*|check_\w*wait_context\w*|_*might_\w+|trace_hardirqs_\w+|trace_softirqs_\w+`),
	noise("debugging facilities that found the fault on behalf of the caller",
		`\w*debug_object\w*|\w+_is_static_object|perf_trace_\w+|should_fail\w*|__should_fail\w*|__fortify_\w+|fortify_\w+`),
	noise("memory and string functions",
		`_*mem(?:cpy|cmp|set|chr|move)\w*|_*(?:strn?(?:cmp|cpy|len|chr|str|cat)|strl?cpy|sized_strscpy|strscpy|strnlen|strlcat|strnstr|str\w*casecmp)\w*|rep_(?:movs|stos)\w*|string(?:_nocheck)?|pointer`),
	noise("retpolines", `__x86_indirect_thunk_\w+|_*indirect_thunk_\w+|__x86_return_thunk`),
	noise("copies to and from user space and through iterators", `\w*copy_(?:page_)?(?:to|from)_(?:user|iter)\w*|raw_copy_\w+_user|copy_user_\w+|_*(?:put|get)_user\w*|copyout|copyin`),
	noise("printing", `\w*printk\w*|v?s[cn]*printf|k[v]*asprintf|va_format|_*(?:net)?dev_(?:info|notice|warn|err|alert|crit|emerg)|format_decode`),
	helper("bit and atomic operations, bit maps, checksums, port and memory-mapped I/O: data given by the caller",
		`\w*test_and_(?:set|clear|change)_bit\w*|_*(?:set|clear|change|test)_bit\w*|find_(?:next|first|last)_\w*bit\w*|_*bitmap_\w+|_?atomic\w+|crc\w+|csum_\w*partial\w*|chacha\w+|_*(?:raw_)?(?:read|write)[bwlq](?:_relaxed|_be)?|io(?:read|write)\d+\w*|logic_(?:in|out)[bwl]`),
	noise("spinlocks: their caller has the lock",
		`_*(?:do_)?(?:raw_)?(?:spin|read|write)_(?:lock|trylock|unlock)\w*|\w*queued_\w+_lock_slowpath|_*raw_spin_rq_\w+|_*local_bh_(?:enable|disable)\w*`),
	helper("sleeping locks: their caller has the lock",
		`_*(?:ww_)?mutex_(?:lock|trylock|unlock|remove|optimistic|destroy)\w*|_*percpu_(?:down|up)_\w+|_*(?:down|up)(?:_(?:read|write|trylock|interruptible|killable|timeout)\w*)?|`+
			`rwsem_\w+|osq_\w+|rt_(?:spin|mutex|read|write)_\w+|_*task_rq_lock|lock_timer_base|_*folio_(?:un)?lock\w*|_*(?:un)?lock_page\w*`),
	helper("waking up", `_*wake_up(?:_process|_common\w*|_sync\w*|_bit|_q|_locked\w*|_state|_all)?|complete(?:_all)?|swake_up\w*|try_to_wake_up|finish_wait`),
	helper("waiting for the caller's own completion", `_*wait_for_completion\w*`),
	helper("reference counters: the caller's object is wrong", `_*refcount_\w+|kref_\w+|ref_tracker_\w+`),
	helper("linked lists, trees and maps: the caller's object is in them",
		`_*h?list_(?:add|del|replace|move|splice)\w*|_*rb_\w+|klist_\w+|_*xas_\w+|_*xa_\w+|radix_tree_(?:lookup|next|insert|delete)\w*|_*idr_\w+|mas_\w+|mt_\w+`),
	helper("allocation on behalf of the caller: a wrong size, or too deep a context. The allocators' insides aren't in it",
		`(?:devm_)?_*k[mzvc]+alloc\w*|_*(?:do_)?k?v?realloc\w*|_*krealloc\w*|_*kmem_cache_alloc\w*|_*k?v[mz]alloc\w*|_*alloc_(?:frozen_)?pages\w*|kmalloc_order\w*|kmalloc_large\w*|alloc_pages_\w+|_*get_free_pages?|v?memdup_\w+|strndup_user|(?:vma_|_*)?folio_alloc\w*|(?:devm_)?_*kmemdup\w*|_*kstrn?dup\w*`),
	helper("freeing on behalf of the caller", `k?v?free|kfree_skb\w*|free_large_kmalloc|kfree_const`),
	helper("waits for, or cancels, work and timers of the caller",
		`_*(?:try_to_)?(?:del_timer|timer_delete)\w*|_*flush_(?:work|delayed_work|workqueue)\w*|_*cancel_(?:work|delayed_work)\w*|try_to_grab_pending|drain_workqueue|destroy_workqueue|kthread_stop`),
	helper("device model and sysfs: the driver's object is wrong",
		`kobject_(?:del|put|uevent\w*)|add_uevent_var|get_device_parent|device_(?:add|del|unregister|destroy|release|for_each_child|remove_file)\w*|devres_release_\w+|sysfs_remove_\w+|dpm_sysfs_remove`),
	helper("class registries, which pass a removal on to the device model: the driver that leaves twice, or never entered, is wrong", `tty_unregister_\w+|_*hwrng_unregister|i2c_del_adapter|__unregister_client`),
	helper("network devices going away", `rollback_registered\w*|unregister_netdev\w*`),
	helper("socket buffers: the protocol's arithmetic is wrong", `skb_(?:put|push|pull|over_panic|under_panic)\w*`),
	helper("page cache: the file system's mapping is wrong", `find_(?:lock|get)_entries|truncate_inode_pages\w*`),
	helper("timers and delayed work: the caller's object is wrong", `_*mod_timer\w*|add_timer\w*|_*queue_delayed_work\w*|_*queue_work\w*|insert_work`),
	helper("VFS objects: the file system's counts or buffers are wrong", `iput|dput|fast_dput|lockref_\w+|(?:drop|inc|set|clear)_nlink|mark_buffer_dirty`),
	helper("USB core: the driver's request is wrong", `usb_(?:submit_urb|hcd_submit_urb|kill_\w*urbs?|control_msg\w*|start_wait_urb|bulk_msg|interrupt_msg)`),
}

// isPlumbing reports whether the frame is skipped, by the list or by one of a
// detector's own parts of names.
func isPlumbing(fn string, own []string) bool {
	fn = frame.Bare(fn)
	for i := range plumbing {
		if plumbing[i].names.MatchString(fn) {
			return true
		}
	}
	return containsAny(fn, own)
}

// isNoise reports whether the frame only reports, and so enters no identity.
func isNoise(fn string) bool {
	for i := range plumbing {
		if !plumbing[i].helper && plumbing[i].names.MatchString(fn) {
			return true
		}
	}
	return false
}

// culprit returns the first frame that isn't plumbing, bare; or "".
func culprit(frames []string, own ...string) string {
	for _, fn := range frames {
		if !isPlumbing(fn, own) {
			return frame.Bare(fn)
		}
	}
	return ""
}
