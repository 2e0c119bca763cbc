/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What our modules with kprobes at functions' entries have in common: the
 * arguments there, who called, and what the task holds. All of it may be called
 * in NMI-like context, for an int3 kprobe of x86 is that, and takes no lock.
 *
 * lockdep_is_held() is of no use in a probe: on x86 it runs between nmi_enter()
 * and nmi_exit(), with lockdep off, where that answers "unknown", which is true
 * (kernel/locking/lockdep.c lock_is_held_type). So held locks are read from
 * current->held_locks, which nobody changes while current is interrupted.
 */

#ifndef PLUGSTORM_PROBE_H
#define PLUGSTORM_PROBE_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/lockdep.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/stacktrace.h>
#include <linux/string.h>

/* powerpc of 6.1 lacks the API; its ABI passes the arguments from r3 on. */
#ifdef CONFIG_HAVE_FUNCTION_ARG_ACCESS_API
#define ps_argument(regs, n) regs_get_kernel_argument(regs, n)
#elif defined(CONFIG_PPC64)
#define ps_argument(regs, n) ((regs)->gpr[3 + (n)])
#endif

#if defined(CONFIG_KPROBES) && defined(CONFIG_STACKTRACE) && defined(ps_argument)

#define PS_PROBES	/* there can be probes */
#define PS_DEPTH	24	/* frames of a stack, at most */

/*
 * Lists return addresses, at most max, from the innermost. The function hasn't
 * made a frame yet: its caller stands in lr or on top of the stack. With frame
 * pointers and on powerpc the others stand in the frames before
 * (arch/powerpc/kernel/stacktrace.c arch_stack_walk, whose way from here would
 * lead through the trap); elsewhere the unwinder has to find them, trap and all.
 */
#if defined(CONFIG_PPC64) || defined(CONFIG_FRAME_POINTER)
static __maybe_unused __no_sanitize_address unsigned int ps_callers(struct pt_regs *regs, unsigned long *frame,
								   unsigned int max)
{
	unsigned long low = (unsigned long)task_stack_page(current), high = low + THREAD_SIZE;
	unsigned int n = 0;
#ifdef CONFIG_PPC64
	unsigned long sp = regs->gpr[1];
	const unsigned int saved = STACK_FRAME_LR_SAVE;	/* of the frame before */

	frame[n++] = regs->link;
#else
	unsigned long sp = regs->bp;
	const unsigned int saved = 1;

	frame[n++] = *(unsigned long *)kernel_stack_pointer(regs);
#endif
	while (n < max && sp >= low && sp <= high - 4 * sizeof(long) && !(sp & 7)) {
		unsigned long next = *(unsigned long *)sp;

		if (next <= sp || next > high - 4 * sizeof(long))
			break;
		frame[n++] = ((unsigned long *)(IS_ENABLED(CONFIG_PPC64) ? next : sp))[saved];
		sp = next;
	}
	return n;
}
#else
static __maybe_unused unsigned int ps_callers(struct pt_regs *regs, unsigned long *frame, unsigned int max)
{
	unsigned long all[PS_DEPTH];
	unsigned int len = stack_trace_save(all, ARRAY_SIZE(all), 0), at, n = 0;

	frame[n++] = *(unsigned long *)kernel_stack_pointer(regs);
	for (at = 0; at < len && all[at] != frame[0]; at++)
		;
	while (++at < len && n < max)
		frame[n++] = all[at];
	return n;
}
#endif

/* Lists the function and its callers, at most max up to PS_DEPTH, through interrupts. */
#ifdef CONFIG_PPC64
static __maybe_unused unsigned int ps_stack(struct pt_regs *regs, unsigned long *frame, unsigned int max)
{
	frame[0] = instruction_pointer(regs);
	return 1 + ps_callers(regs, frame + 1, max - 1);
}
#else
/* An unwinder that goes by frame pointers leaves the caller out: it is put in from the stack. */
static __maybe_unused __no_sanitize_address unsigned int ps_stack(struct pt_regs *regs, unsigned long *frame,
								 unsigned int max)
{
	unsigned long all[PS_DEPTH + 8], ret = *(unsigned long *)kernel_stack_pointer(regs);
	unsigned int len = stack_trace_save(all, ARRAY_SIZE(all), 0), at, n = 0;

	for (at = 0; at < len && all[at] != instruction_pointer(regs); at++)
		;
	at = at < len ? at + 1 : 0;	/* not found: all of it, trap and all */
	frame[n++] = instruction_pointer(regs);
	frame[n++] = ret;
	if (at < len && all[at] == ret)
		at++;
	while (at < len && n < max)
		frame[n++] = all[at++];
	return n;
}
#endif

/*
 * A probe with a post handler is never jump-optimised (kernel/kprobes.c
 * optimize_kprobe): every hit comes the same way, in the same context. One based
 * on ftrace may change where it goes on (__arm_kprobe_ftrace).
 */
static __maybe_unused void ps_after(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

/*
 * What may follow a function's name: what the compiler appends to one that it
 * has changed for its callers, but not .part and .cold, which are pieces of a
 * function; and _noprof, which allocators are called since 6.10
 * (include/linux/alloc_tag.h).
 */
static const char * const ps_suffixes[] __maybe_unused = {
	"", ".isra.0", ".constprop.0", ".constprop.1", ".isra.1", ".constprop.0.isra.0", ".isra.0.constprop.0", "_noprof",
};

/*
 * Registers a probe with the handlers and flags that it has, at the first of a
 * function's names that there is. symbol, of this size, becomes that name, and
 * must live as long as the probe. Returns register_kprobe's error; after -ENOENT
 * symbol is the plain name.
 */
static __maybe_unused int ps_register(struct kprobe *p, const char *name, char *symbol, size_t size)
{
	const struct kprobe want = *p;
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(ps_suffixes); i++) {
		snprintf(symbol, size, "%s%s", name, ps_suffixes[i]);
		memset(p, 0, sizeof(*p));
		p->symbol_name = symbol;
		p->pre_handler = want.pre_handler;
		p->post_handler = want.post_handler;
		p->flags = want.flags;
		err = register_kprobe(p);
		if (err != -ENOENT)
			return err;
	}
	strscpy(symbol, name, size);
	return -ENOENT;
}

#endif /* KPROBES, STACKTRACE */

#ifdef CONFIG_LOCKDEP
/* How many of current->held_locks there are. */
static __maybe_unused int ps_depth(void)
{
	return min_t(int, READ_ONCE(current->lockdep_depth), MAX_LOCK_DEPTH);
}
#endif

#endif /* PLUGSTORM_PROBE_H */
