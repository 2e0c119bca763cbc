// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"slices"

	"plugstorm/harness/frame"
)

// dispatchers are functions that hand over to one of many others. A CPU that
// loops is seen at a random depth; the function that a dispatcher called is
// the same in every sighting, and names the stall.
var dispatchers = regexp.MustCompile(`^(?:` +
	// system calls and their exits
	`_*do_(?:fast_)?syscall\w*|do_int80\w*|(?:x64|x32|ia32)_sys_call|invoke_syscall|el0_svc\w*|system_call\w*|sysenter_\w+|tracesys\w*|entry_\w+|` +
	`ret_fast_syscall|do_trap_ecall_\w+|handle_sys\w*|syscall_(?:common|handler|exception)|exit_to_user\w*|task_work_run|____?fput|__fput|` +
	// file operations: every file system and driver has its own beneath
	`_*vfs_(?:read|write|readv|writev|iter_read|iter_write|ioctl|open)|new_sync_(?:read|write)|call_(?:read|write)_iter|call_mmap|do_iter_\w+|do_dentry_open|ksys_ioctl|do_vfs_ioctl|blkdev_ioctl|blkdev_driver_ioctl|\w*compat\w*_ioctl|\w*(?:SyS|SYSC|sys)_ioctl|` +
	// files of sysfs and procfs
	`kernfs_fop_\w+|kernfs_seq_\w+|seq_read\w*|proc_reg_\w+|proc_sys_call_handler|dev_attr_(?:show|store)|kobj_attr_(?:show|store)|sysfs_kf_\w+|` +
	// memory mappings
	`mmap_region|do_mmap\w*|` +
	// sockets
	`_*sock_(?:sendmsg|recvmsg|release|read_iter|write_iter|mmap|ioctl|do_ioctl)\w*|__sock_release|sock_common_setsockopt|\w*sys_(?:setsockopt|listen|accept\w*|connect|socketpair)|kernel_(?:setsockopt|listen|accept)|sk_common_release|(?:nfnetlink|rtnetlink)_rcv_msg|\w*netif_receive_skb\w*|` +
	// deferred work
	`process_one_work|kthread|cpu_stopper_thread|tasklet_action\w*|ret_from_fork\w*|smpboot_thread_fn|run_ksoftirqd|\w*do_softirq\w*|handle_softirqs|call_timer_fn|\w*run_timers|run_timer_softirq|` +
	// boot and idle
	`start_secondary|cpu_startup_entry|do_one_initcall|` +
	// interrupts
	`\w*handle_irq_event\w*|\w*hrtimer_run_(?:queues|softirq)` +
	`)$`)

// crossCalls ask other CPUs to do something: whoever waits in them is a victim.
var crossCalls = regexp.MustCompile(`smp_call_function`)

// stalledIn titles a stall by the function that a dispatcher called.
func (r *Report) stalledIn(f *Finding, prefix string, frames []string, own ...string) {
	var kept []string
	for _, fn := range frames {
		if !isPlumbing(fn, own) {
			kept = append(kept, frame.Bare(fn))
		}
	}
	full := dispatched(kept)
	short := stalledName(full)
	f.Title = prefix + " in " + orCorrupted(short)
	f.Corrupted = f.Corrupted || full == ""
	f.also("stall")
	if full != short && full != "" {
		f.alt(prefix + " in " + full)
		f.alt("stall in " + full)
	}
	if full != "" {
		f.Identity = r.detector.Name + ": " + short
	}
}

// dispatched returns the function called by the innermost dispatcher, or "".
func dispatched(frames []string) string {
	for i, fn := range frames {
		if crossCalls.MatchString(fn) {
			return fn
		}
		if dispatchers.MatchString(fn) {
			if i == 0 {
				return fn
			}
			return frames[i-1]
		}
	}
	// Not in a system call: a user program's page fault. What it maps has a
	// handler of its own; inside a call, the call is what stalls.
	for i, fn := range frames {
		if i > 0 && callsMapping(fn) {
			return frames[i-1]
		}
	}
	if slices.Contains(frames, "handle_mm_fault") {
		return "handle_mm_fault"
	}
	return ""
}

// callsMapping reports whether a function of the page fault path calls the
// handler of what is mapped (mm/memory.c).
func callsMapping(fn string) bool { return fn == "__do_fault" || fn == "do_page_mkwrite" }

// stalledName is the name that a stall in fn is titled by.
func stalledName(fn string) string {
	if crossCalls.MatchString(fn) {
		return "smp_call_function"
	}
	return syscallName(fn)
}

// through returns all frames from a line to the end of its stack, through
// exceptions that interrupted it, each with the function it interrupted.
func (r *Report) through(from int) []string {
	var frames []string
	for _, e := range r.events() {
		switch {
		case e.line < from:
		case e.kind == trace && len(frames) > 0:
			return frames
		case e.fn != "" && (e.kind == framed || e.kind == located):
			frames = append(frames, e.fn)
		}
	}
	return frames
}

// timerEntry is where the tick that notices a stall interrupts what stalls.
var timerEntry = regexp.MustCompile(`apic_timer_interrupt|timer_interrupt$|^arch_timer_handler|^decrementer_common|^el1_irq|^el1h_64_irq`)

// stalledStack returns the stack beneath the timer interrupt of the first
// stack that shows one. Other machines than x86 print the registers and the
// stack of the interrupted task alone; on x86, a stack without the interrupt is
// that of a task that sleeps.
func (r *Report) stalledStack() []string {
	for _, e := range r.events() {
		if e.kind != framed || !timerEntry.MatchString(e.fn) {
			continue
		}
		frames := r.through(e.line + 1)
		for len(frames) > 0 && timerEntry.MatchString(frames[0]) {
			frames = frames[1:]
		}
		return frames
	}
	if s := r.faultStack(); !s.x86 {
		return s.all()
	}
	return nil
}
