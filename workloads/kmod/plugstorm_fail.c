// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes a call of a named kernel function fail: a kprobe at its entry has the
 * call return an error at once, without the function's body. It is what
 * kernel/fail_function.c does, but for any function instead of the few that are
 * marked (ALLOW_ERROR_INJECTION), once, and for one caller if need be. Which
 * functions may fail is not decided here: harness/calls has the list.
 *
 * Interface, in debugfs below plugstorm_fail/:
 *
 * arm (write): one write(2), one line:
 *
 *   FUNC[<CALLER] ERRNO [NTH [ARG]]	the NTHth call from now (1) returns -ERRNO
 *   FUNC<<CALLER ERRNO [NTH [ARG]]	the same, but see below
 *   off FUNC[<CALLER]		that one is forgotten
 *   off			all are
 *
 * ERRNO is a name (ENOMEM), a number, NULL for 0, or =N for the value N as it
 * is. SIGNAL is another thing: the call is made, in a task that has a signal
 * pending from then on, as one in the freezer has (kernel/signal.c
 * signal_wake_up); kernel threads, which have none, are left alone. With CALLER
 * only calls count that have a return address in its body among the FAIL_FRAMES
 * innermost: a function may be inlined into its caller. With <<CALLER they are
 * those that CALLER's body makes itself, in a kernel thread or in write(2): who
 * else calls a function that nobody has looked at may be a process that doesn't
 * live on, such as one that can't fork or has a page less. With ARG, a
 * name of the kernel's (fail_args), they are those whose first argument it is. Up to FAIL_CALLS are armed at once, each
 * of these names once (EBUSY). A function that can't be probed is no error of the write:
 * status says so.
 *
 * status (read): "plugstorm_fail 1", then a line for each that is armed:
 *
 *   call FUNC[<CALLER] symbol=S state=ok|unavailable:ERRNO value=N nth=N calls=N fired=0|1 missed=N
 *
 * calls counts those that FUNC and CALLER mean, missed is kprobe.nmissed. What
 * fires says so on the console: "plugstorm_fail: FUNC[<CALLER] returns N".
 *
 * Where the kernel doesn't look for locks that a task takes to user space (as
 * x86 does, kernel/locking/lockdep.c lockdep_sys_exit), the module does, at the
 * end of each system call.
 */

#define pr_fmt(fmt) "plugstorm_fail: " fmt

#include <linux/atomic.h>
#include <linux/debug_locks.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/irq_work.h>
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/linkage.h>
#include <linux/lockdep.h>
#include <linux/memory.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/objtool.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/utsname.h>
#include <linux/version.h>

#include <asm/syscall.h>
#include <asm/unistd.h>

#include "plugstorm_probe.h"

#if !defined(PS_PROBES) || !defined(CONFIG_KALLSYMS) || !(defined(CONFIG_X86_64) || defined(CONFIG_PPC64))

/* The module builds everywhere and says by its error that it can't do it. */
static int __init fail_init(void)
{
	pr_info("this kernel has no kprobes, symbols or stack traces\n");
	return -EOPNOTSUPP;
}

module_init(fail_init);

#else

#define FAIL_CALLS	8
#define FAIL_PROBES	256	/* kept, see fail_find() */
#define FAIL_NAME	64	/* of a function, NUL included */
#define FAIL_FRAMES	12	/* among which the caller is looked for */
#define FAIL_TEXT	256

struct fail_call {
	struct kprobe probe;
	char name[2 * FAIL_NAME + 1];	/* FUNC, FUNC<CALLER or FUNC<<CALLER */
	char func[FAIL_NAME], symbol[FAIL_NAME];	/* symbol: with the suffix that the compiler gave it */
	bool armed;
	unsigned long from, to;		/* the caller's body; 0: anybody's call counts */
	bool own;			/* it is the caller itself */
	long value;
	bool signal, only;		/* only: calls with this argument */
	unsigned long arg;
	int nth;
	int error;			/* of register_kprobe; 0: it can be armed */
	atomic_t calls;
	atomic_t fired;			/* 1: it is to be told, 2: it has been */
};

static DEFINE_MUTEX(fail_mutex);	/* writes of fail_calls */
static struct fail_call *fail_calls[FAIL_PROBES];
static unsigned int fail_count;
static struct dentry *fail_dir;

/* ---- what the probe does; it may be in NMI-like context ---- */

#ifdef CONFIG_X86_64
/* Where a call that fails goes on: back to its caller. As arch/x86/lib/error-inject.c. */
asmlinkage void plugstorm_fail_return(void);

asm(
	".text\n"
	".type plugstorm_fail_return, @function\n"
	"plugstorm_fail_return:\n"
		ANNOTATE_NOENDBR
		ASM_RET
	".size plugstorm_fail_return, .-plugstorm_fail_return\n"
);

static void fail_return(struct pt_regs *regs)
{
	regs->ip = (unsigned long)plugstorm_fail_return;
}
#else
/* As arch/powerpc/lib/error-inject.c. */
static void fail_return(struct pt_regs *regs)
{
	regs_set_return_ip(regs, regs->link);
}
#endif

/* Whether the task is one that an unexpected error of its own call doesn't end. */
static bool fail_bears(void)
{
	return (current->flags & PF_KTHREAD) || syscall_get_nr(current, task_pt_regs(current)) == __NR_write;
}

static bool fail_concerned(const struct fail_call *c, struct pt_regs *regs)
{
	unsigned long frame[FAIL_FRAMES];
	unsigned int i, n;

	if (c->only && ps_argument(regs, 0) != c->arg)
		return false;
	if (!c->to)
		return true;
	if (c->own && !fail_bears())
		return false;
	n = ps_callers(regs, frame, c->own ? 1 : FAIL_FRAMES);
	for (i = 0; i < n; i++)
		if (frame[i] > c->from && frame[i] <= c->to)
			return true;
	return false;
}

static void fail_tell(struct irq_work *unused)
{
	unsigned int i;

	for (i = 0; i < smp_load_acquire(&fail_count); i++) {
		struct fail_call *c = fail_calls[i];

		if (atomic_cmpxchg(&c->fired, 1, 2) != 1)
			continue;
		if (c->signal)
			pr_info("%s is interrupted\n", c->name);
		else
			pr_info("%s returns %ld\n", c->name, c->value);
	}
}

/* The probe prints nothing itself: see plugstorm_rules/report.c. */
static DEFINE_IRQ_WORK(fail_work, fail_tell);

static int fail_hit(struct kprobe *p, struct pt_regs *regs)
{
	struct fail_call *c = container_of(p, struct fail_call, probe);

	if (atomic_read(&c->fired) || (c->signal && (current->flags & PF_KTHREAD)) || !fail_concerned(c, regs))
		return 0;
	if (atomic_inc_return(&c->calls) != c->nth)
		return 0;
	atomic_set(&c->fired, 1);
	irq_work_queue(&fail_work);
	if (c->signal) {
		set_tsk_thread_flag(current, TIF_SIGPENDING);
		return 0;
	}
	regs_set_return_value(regs, c->value);
	fail_return(regs);
	return 1;
}

/* ---- probes ---- */

/* Finds a function's body, by a probe that is never armed. */
static int fail_body(const char *name, unsigned long *from, unsigned long *to)
{
	struct kprobe probe = { .flags = KPROBE_FLAG_DISABLED };
	char symbol[FAIL_NAME], text[KSYM_SYMBOL_LEN], *at;
	unsigned long addr, offset, size;
	int err = ps_register(&probe, name, symbol, sizeof(symbol));

	if (err)
		return err;
	addr = (unsigned long)probe.addr;
	unregister_kprobe(&probe);
	sprint_symbol(text, addr);
	at = strrchr(text, '+');
	if (!at || sscanf(at, "+%lx/%lx", &offset, &size) != 2)
		return -ENOENT;
	*from = addr - offset;
	*to = *from + size;
	return 0;
}

/*
 * Finds or makes the probe of "FUNC[<CALLER]", disabled. Probes are kept: to
 * remove one waits for all readers of RCU (unregister_kprobe), and everybody
 * who arms would wait for that.
 */
static struct fail_call *fail_find(const char *name, const char *func, const char *caller)
{
	struct fail_call *c;
	unsigned int i;

	for (i = 0; i < fail_count; i++)
		if (!strcmp(fail_calls[i]->name, name))
			return fail_calls[i];
	if (fail_count == FAIL_PROBES)
		return ERR_PTR(-ENOSPC);
	c = kzalloc(sizeof(*c), GFP_KERNEL);
	if (!c)
		return ERR_PTR(-ENOMEM);
	strscpy(c->name, name, sizeof(c->name));
	strscpy(c->symbol, func, sizeof(c->symbol));
	c->nth = 1;
	if (caller) {
		c->own = *caller == '<';
		c->error = fail_body(caller + c->own, &c->from, &c->to);
	}
	if (!c->error) {
		strscpy(c->func, func, sizeof(c->func));
		c->probe.pre_handler = fail_hit;
		c->probe.post_handler = ps_after;
		c->probe.flags = KPROBE_FLAG_DISABLED;
		c->error = ps_register(&c->probe, c->func, c->symbol, sizeof(c->symbol));
	}
	fail_calls[fail_count] = c;
	smp_store_release(&fail_count, fail_count + 1);
	return c;
}

/* Disarms a call, or all of them. A call that has begun to fail may still do so. */
static void fail_off(const char *name)
{
	unsigned int i;

	for (i = 0; i < fail_count; i++) {
		struct fail_call *c = fail_calls[i];

		if (!c->armed || (name && strcmp(c->name, name)))
			continue;
		if (!c->error)
			disable_kprobe(&c->probe);
		c->armed = false;
	}
}

/* ---- calls in, from text ---- */

static const struct {
	const char *name;
	int value;
} fail_errnos[] = {
	{ "EPERM", EPERM }, { "ENOENT", ENOENT }, { "EINTR", EINTR }, { "EIO", EIO }, { "EAGAIN", EAGAIN },
	{ "ENOMEM", ENOMEM }, { "EFAULT", EFAULT }, { "EBUSY", EBUSY }, { "EEXIST", EEXIST }, { "ENODEV", ENODEV },
	{ "EINVAL", EINVAL }, { "ENOSPC", ENOSPC }, { "E2BIG", E2BIG }, { "NULL", 0 },
};

/* Their values differ between releases. */
static const struct {
	const char *name;
	unsigned long value;
} fail_args[] = {
	{ "MEM_GOING_ONLINE", MEM_GOING_ONLINE }, { "MEM_GOING_OFFLINE", MEM_GOING_OFFLINE },
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	{ "MEM_PREPARE_ONLINE", MEM_PREPARE_ONLINE },
#endif
};

static int fail_arg(const char *s, unsigned long *value)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fail_args); i++)
		if (!strcmp(s, fail_args[i].name)) {
			*value = fail_args[i].value;
			return 0;
		}
	return -EINVAL;
}

static int fail_value(const char *s, long *value)
{
	unsigned int i, number;

	for (i = 0; i < ARRAY_SIZE(fail_errnos); i++)
		if (!strcmp(s, fail_errnos[i].name)) {
			*value = -fail_errnos[i].value;
			return 0;
		}
	if (*s == '=')
		return kstrtol(s + 1, 10, value);
	if (kstrtouint(s, 10, &number) || number > MAX_ERRNO)
		return -EINVAL;
	*value = -(long)number;
	return 0;
}

/* What a line says, apart from the names. */
static int fail_parse(struct fail_call *c, char *value, char *nth, char *arg)
{
	c->nth = 1;
	c->signal = !strcmp(value, "SIGNAL");
	c->only = arg;
	if (!c->signal && fail_value(value, &c->value))
		return -EINVAL;
	if (nth && (kstrtoint(nth, 10, &c->nth) || c->nth < 1))
		return -EINVAL;
	return arg ? fail_arg(arg, &c->arg) : 0;
}

static int fail_arm(char *line)
{
	char *name = strsep(&line, " "), *value = strsep(&line, " "), *nth = strsep(&line, " ");
	char func[FAIL_NAME];
	const char *caller = strchr(name, '<');
	size_t len = caller ? caller - name : strlen(name);
	unsigned int i, armed = 0;
	struct fail_call *c;
	int err;

	if (!value || !len || len >= FAIL_NAME)
		return -EINVAL;
	if (caller && (!caller[1] || !strcmp(caller, "<<") || strlen(caller + 1) >= FAIL_NAME))
		return -EINVAL;
	strscpy(func, name, len + 1);
	c = fail_find(name, func, caller ? caller + 1 : NULL);
	if (IS_ERR(c))
		return PTR_ERR(c);
	if (c->armed)
		return -EBUSY;
	for (i = 0; i < fail_count; i++)
		armed += fail_calls[i]->armed;
	if (armed >= FAIL_CALLS)
		return -ENOSPC;
	err = fail_parse(c, value, nth, line);
	if (err)
		return err;
	atomic_set(&c->calls, 0);
	atomic_set(&c->fired, 0);
	err = c->error ? 0 : enable_kprobe(&c->probe);
	c->armed = !err;
	return err;
}

static ssize_t arm_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	char *text, *line;
	int err = 0;

	if (*pos || count > FAIL_TEXT)
		return -EINVAL;
	text = memdup_user_nul(from, count);
	if (IS_ERR(text))
		return PTR_ERR(text);
	line = strim(text);
	mutex_lock(&fail_mutex);
	if (!strcmp(line, "off"))
		fail_off(NULL);
	else if (!strncmp(line, "off ", 4))
		fail_off(line + 4);
	else
		err = fail_arm(line);
	mutex_unlock(&fail_mutex);
	kfree(text);
	return err ?: count;
}

static const struct file_operations arm_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = arm_write,
	.llseek = noop_llseek,
};

/* ---- table out ---- */

static int status_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	mutex_lock(&fail_mutex);
	seq_puts(m, "plugstorm_fail 1\n");
	for (i = 0; i < fail_count; i++) {
		const struct fail_call *c = fail_calls[i];

		if (!c->armed)
			continue;
		seq_printf(m, "call %s symbol=%s state=", c->name, c->symbol);
		if (c->error)
			seq_printf(m, "unavailable:%d", -c->error);
		else
			seq_puts(m, "ok");
		seq_printf(m, " value=%ld nth=%d calls=%d fired=%d missed=%lu\n", c->value, c->nth,
			   atomic_read(&c->calls), !!atomic_read(&c->fired), c->probe.nmissed);
	}
	mutex_unlock(&fail_mutex);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(status);

/* ---- locks that a system call leaves behind ---- */

#if defined(CONFIG_PPC64) && defined(CONFIG_LOCKDEP) && defined(CONFIG_TRACEPOINTS) && defined(CONFIG_HAVE_SYSCALL_TRACEPOINTS)

static struct tracepoint *fail_sys_exit;
static atomic_t fail_leaves;

/* One report: what comes after it has the same cause, and lockdep itself ends with its first. */
static void fail_leaving(void *data, struct pt_regs *regs, long ret)
{
	int i, depth = ps_depth();

	if (likely(!depth) || !READ_ONCE(debug_locks) || current->lockdep_recursion || atomic_xchg(&fail_leaves, 1))
		return;
	/* As kernel/locking/lockdep.c lockdep_sys_exit. */
	printk(KERN_WARNING "================================================\n");
	printk(KERN_WARNING "WARNING: lock held when returning to user space!\n");
	printk(KERN_WARNING "%s Tainted: G           O\n", init_utsname()->release);
	printk(KERN_WARNING "------------------------------------------------\n");
	printk(KERN_WARNING "%s/%d is leaving the kernel with locks still held!\n", current->comm, task_pid_nr(current));
	printk(KERN_WARNING "%d lock%s held by %s/%d:\n", depth, depth == 1 ? "" : "s", current->comm, task_pid_nr(current));
	for (i = 0; i < depth; i++) {
		const struct held_lock *h = &current->held_locks[i];

		printk(KERN_WARNING " #%d: %px (%s){....}-{0:0}, at: %pS\n", i, h->instance,
		       h->instance && h->instance->name ? h->instance->name : "?", (void *)h->acquire_ip);
	}
}

static void fail_find_sys_exit(struct tracepoint *tp, void *unused)
{
	if (!strcmp(tp->name, "sys_exit"))
		fail_sys_exit = tp;
}

static void fail_watch_leaves(void)
{
	for_each_kernel_tracepoint(fail_find_sys_exit, NULL);
	if (fail_sys_exit && tracepoint_probe_register(fail_sys_exit, fail_leaving, NULL))
		fail_sys_exit = NULL;
}

static void fail_unwatch_leaves(void)
{
	if (!fail_sys_exit)
		return;
	tracepoint_probe_unregister(fail_sys_exit, fail_leaving, NULL);
	tracepoint_synchronize_unregister();
}

#else
static void fail_watch_leaves(void) { }
static void fail_unwatch_leaves(void) { }
#endif

static int __init fail_init(void)
{
	fail_dir = debugfs_create_dir("plugstorm_fail", NULL);
	if (IS_ERR(fail_dir))
		return PTR_ERR(fail_dir);
	debugfs_create_file("arm", 0200, fail_dir, NULL, &arm_fops);
	debugfs_create_file("status", 0400, fail_dir, NULL, &status_fops);
	fail_watch_leaves();
	return 0;
}

static void __exit fail_exit(void)
{
	unsigned int i;

	fail_unwatch_leaves();
	debugfs_remove(fail_dir);
	for (i = 0; i < fail_count; i++)
		if (!fail_calls[i]->error)
			unregister_kprobe(&fail_calls[i]->probe);	/* waits for handlers */
	irq_work_sync(&fail_work);
	for (i = 0; i < fail_count; i++)
		kfree(fail_calls[i]);
}

module_init(fail_init);
module_exit(fail_exit);

#endif

MODULE_DESCRIPTION("plugstorm: named functions that fail when they are called");
MODULE_LICENSE("GPL");
