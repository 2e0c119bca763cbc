// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notes who waits for whom while holding which locks, and which locks those
 * take who are waited for, so that a deadlock can be told of before it happens.
 * lockdep sees locks only: not that kthread_stop() waits for a thread,
 * kthread_create() for kthreadd, flush_work() for a work that isn't queued right
 * now, or the removal of a sysfs attribute for one that isn't in use right now.
 * harness/waitgraph puts the parts together.
 *
 * WHO is one of
 *
 *   thread:COMM	a kernel thread, each row of digits in its name one '#'
 *   work:FUNC		a work item, by its function; of work_on_cpu() that of the caller
 *   kernfs:KEY		whoever is in an operation of a kernfs file of this class
 *
 * KEY is a lock class's, printed as /proc/lockdep prints it (%p of class->key).
 *
 * Interface, in debugfs below plugstorm_waits/, both read only:
 *
 * waits: "plugstorm_waits 1", then one line each:
 *
 *   debug_locks N			0: lockdep is off, nothing is noted any more
 *   lost takes=N waits=N works=N	what had no room
 *   probe FUNC state=ok missed=N | state=unavailable:ERRNO
 *   writer KEY held=HELD LOCK		a class that somebody has taken to write, and what
 *					was held every time
 *   take WHO key=KEY mode=r|w n=N inst=PTR many=0|1 at=FUNC|- held=HELD lock=LOCK
 *					WHO has taken a lock that can sleep, n times, not
 *					by a trylock; many: not always the same instance.
 *					FUNC: who called the lock's function, -: not always
 *					the same place. HELD: what it held every time. Only
 *					of WHOs that are waited for, and of others such locks
 *					under which somebody waits for anybody.
 *   wait KIND WHO n=N inst=PTR many=0|1 held=HELD name=NAME stack=FUNC<FUNC...
 *					KIND: stop, park, create, flush, cancel, remove;
 *					inst: of the kernfs file, whose NAME is given.
 *   HELD = KEY:MODE:INST,...  or -	MODE: r or w, and a t if it was got by a trylock;
 *					INST: 0 if not always the same
 *
 * order: "plugstorm_waits 1", then lockdep's graph, as far as both ends can sleep:
 *
 *   class INDEX KEY NAME		NAME as /proc/lockdep has it
 *   key KEY SYMBOL			what is at KEY (%pS), of classes and of the files in waits:
 *					another boot of the same kernel has the same there;
 *					0x...: nothing that has a name
 *   edge INDEX INDEX DEP		bit 0, 2: the first held to read, bit 1, 3: to write;
 *					bit 2, 3: the second is not taken as a recursive
 *					reader (kernel/locking/lockdep.c calc_dep)
 *
 * Nothing here takes a lock: the tracepoint is in lock_acquire(), and an int3
 * kprobe is in NMI-like context. plugstorm_probe.h says how held locks are read.
 */

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/vmalloc.h>

#include "waits.h"

#ifndef WAITS_POSSIBLE

/* The module builds everywhere and says by its error that it can't look. */
static int __init waits_init(void)
{
	pr_info("plugstorm_waits: this kernel has no lockdep, kprobes, stack traces or tracepoints\n");
	return -EOPNOTSUPP;
}

module_init(waits_init);

#else

struct waits_take *waits_takes;
struct waits_wait *waits_waits;
struct waits_writer *waits_writers;
u64 *waits_cache;
atomic_t waits_lost_takes, waits_lost_waits, waits_lost_works;
static struct dentry *waits_dir;

/*
 * In the order in which they are set. The end of works comes before their start: of
 * a work that was seen to start and not to end, its worker's next locks would be.
 */
static struct waits_trace {
	const char *name;
	void *probe;
	struct tracepoint *point;
} waits_traces[] = {
	{ "workqueue_execute_end", waits_work_end },
	{ "workqueue_execute_start", waits_work_start },
	{ "lock_acquire", waits_acquire },
};

static void waits_find_trace(struct tracepoint *point, void *unused)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(waits_traces); i++)
		if (!strcmp(point->name, waits_traces[i].name))
			waits_traces[i].point = point;
}

/* Lets go of the tables and of so many tracepoints. */
static void waits_untrace(unsigned int traces)
{
	while (traces--)
		tracepoint_probe_unregister(waits_traces[traces].point, waits_traces[traces].probe, NULL);
	tracepoint_synchronize_unregister();
	vfree(waits_cache);
	vfree(waits_writers);
	vfree(waits_waits);
	vfree(waits_takes);
}

/* More than an answer usually has: for one without room all of it is made again. */
#define WAITS_ANSWER	SZ_128K

static int waits_waits_open(struct inode *inode, struct file *file)
{
	return single_open_size(file, waits_waits_show, NULL, WAITS_ANSWER);
}

static int waits_order_open(struct inode *inode, struct file *file)
{
	return single_open_size(file, waits_order_show, NULL, WAITS_ANSWER);
}

#define WAITS_FILE(name)				\
static const struct file_operations name##_fops = {	\
	.owner = THIS_MODULE,				\
	.open = name##_open,				\
	.read = seq_read,				\
	.llseek = seq_lseek,				\
	.release = single_release,			\
}

WAITS_FILE(waits_waits);
WAITS_FILE(waits_order);

static int __init waits_init(void)
{
	unsigned int i;
	int err = -ENOMEM;

	waits_takes = vzalloc(array_size(WAITS_TAKES, sizeof(*waits_takes)));
	waits_waits = vzalloc(array_size(WAITS_WAITS, sizeof(*waits_waits)));
	waits_writers = vzalloc(array_size(WAITS_WRITERS, sizeof(*waits_writers)));
	waits_cache = vzalloc(array_size(WAITS_CACHED, sizeof(*waits_cache)));
	if (!waits_takes || !waits_waits || !waits_writers || !waits_cache) {
		waits_untrace(0);
		return -ENOMEM;
	}
	waits_learn_works();
	for_each_kernel_tracepoint(waits_find_trace, NULL);
	for (i = 0; i < ARRAY_SIZE(waits_traces); i++) {
		err = waits_traces[i].point ? tracepoint_probe_register(waits_traces[i].point, waits_traces[i].probe, NULL)
					    : -ENOENT;
		if (err) {
			pr_info("plugstorm_waits: tracepoint %s: error %d\n", waits_traces[i].name, err);
			waits_untrace(i);
			return err;
		}
	}
	waits_probe_all();
	waits_dir = debugfs_create_dir("plugstorm_waits", NULL);
	if (IS_ERR(waits_dir)) {
		waits_unprobe_all();
		waits_untrace(ARRAY_SIZE(waits_traces));
		return PTR_ERR(waits_dir);
	}
	debugfs_create_file("waits", 0400, waits_dir, NULL, &waits_waits_fops);
	debugfs_create_file("order", 0400, waits_dir, NULL, &waits_order_fops);
	return 0;
}

static void __exit waits_exit(void)
{
	debugfs_remove(waits_dir);
	waits_unprobe_all();
	waits_untrace(ARRAY_SIZE(waits_traces));
}

module_init(waits_init);
module_exit(waits_exit);

#endif

MODULE_DESCRIPTION("plugstorm: who waits for whom under which locks");
MODULE_LICENSE("GPL");
