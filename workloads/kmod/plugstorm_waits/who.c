// SPDX-License-Identifier: GPL-2.0-only
/* Who somebody is: a kernel thread, a work item, or a user of a kernfs file. */

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/ctype.h>
#include <linux/jhash.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "waits.h"

#ifdef WAITS_POSSIBLE

#define WAITS_WORKS	512

/* What a worker does. */
struct waits_worker {
	atomic_long_t task;
	const void *func;
};

static struct waits_worker waits_workers[WAITS_WORKS];
const char *waits_kernfs;	/* the name of all kernfs lock classes, once it was seen */

/* Copies a name with each row of digits as one '#', so that "kcompactd1" is "kcompactd#". */
void waits_fold(char *to, const char *from)
{
	unsigned int i, n = 0;

	for (i = 0; i < TASK_COMM_LEN && from[i] && n < TASK_COMM_LEN - 1; i++) {
		if (!isdigit(from[i]))
			to[n++] = from[i];
		else if (!n || to[n - 1] != '#')
			to[n++] = '#';
	}
	memset(to + n, 0, TASK_COMM_LEN - n);
}

static struct waits_worker *waits_worker_of(const struct task_struct *task, bool make)
{
	u32 at = jhash_1word((u32)(unsigned long)task, 0);
	unsigned int i;

	for (i = 0; i < WAITS_WINDOW; i++) {
		struct waits_worker *w = &waits_workers[(at + i) % WAITS_WORKS];

		if (atomic_long_read(&w->task) == (long)task)
			return w;
	}
	for (i = 0; make && i < WAITS_WINDOW; i++) {
		struct waits_worker *w = &waits_workers[(at + i) % WAITS_WORKS];

		if (!atomic_long_read(&w->task) && !atomic_long_cmpxchg(&w->task, 0, (long)task))
			return w;
	}
	return NULL;
}

/* How kernel/workqueue.c struct work_for_cpu begins. */
struct waits_work_for_cpu {
	struct work_struct work;
	long (*fn)(void *);
};

static work_func_t waits_for_cpu;	/* what all works of work_on_cpu() have as their function */

/* Runs in such a work. */
static long waits_learn_for_cpu(void *unused)
{
	waits_for_cpu = current_work()->func;
	return 0;
}

void waits_learn_works(void)
{
	work_on_cpu_safe(cpumask_first(cpu_online_mask), waits_learn_for_cpu, NULL);
}

/* Says what a work does: work_on_cpu() takes any function, and each is a work of its own. */
const void *waits_func_of(const struct work_struct *work)
{
	if (work->func && work->func == waits_for_cpu)
		return container_of(work, struct waits_work_for_cpu, work)->fn;
	return work->func;
}

void waits_work_start(void *unused, struct work_struct *work)
{
	struct waits_worker *w = waits_worker_of(current, true);

	if (w)
		w->func = waits_func_of(work);
	else
		atomic_inc(&waits_lost_works);
}

void waits_work_end(void *unused, struct work_struct *work, work_func_t func)
{
	struct waits_worker *w = waits_worker_of(current, false);

	if (!w)
		return;
	w->func = NULL;
	atomic_long_set(&w->task, 0);
}

/* Says who a kernel thread is; false for a worker between two works. */
bool waits_thread(struct waits_who *who)
{
	memset(who, 0, sizeof(*who));
	if (current->flags & PF_WQ_WORKER) {
		struct waits_worker *w = waits_worker_of(current, false);

		who->kind = WHO_WORK;
		who->id = w ? w->func : NULL;
		return who->id;
	}
	who->kind = WHO_THREAD;
	waits_fold(who->comm, current->comm);
	return true;
}

/* Says whose operation current is in, if it is one of a kernfs file. */
bool waits_in_kernfs(struct waits_who *who)
{
	const char *name = READ_ONCE(waits_kernfs);
	int i, depth = ps_depth();

	for (i = 0; name && i < depth; i++) {
		const struct lockdep_map *map = current->held_locks[i].instance;

		if (!map || map->name != name || !current->held_locks[i].read)
			continue;
		memset(who, 0, sizeof(*who));
		who->kind = WHO_KERNFS;
		who->id = waits_key(map, 0);
		return who->id;
	}
	return false;
}

/* Stands for who current is, as far as the locks it holds don't say so. */
u64 waits_who_hash(void)
{
	const struct waits_worker *w;
	u64 comm[2];

	BUILD_BUG_ON(sizeof(comm) != TASK_COMM_LEN);
	if (!(current->flags & PF_KTHREAD))
		return (unsigned long)READ_ONCE(waits_kernfs);
	if (current->flags & PF_WQ_WORKER) {
		w = waits_worker_of(current, false);
		return w ? (unsigned long)w->func : 0;
	}
	memcpy(comm, current->comm, sizeof(comm));
	return waits_mix(waits_mix(WHO_THREAD, comm[0]), comm[1]);
}

u32 waits_hash(const struct waits_who *who)
{
	return jhash(who, sizeof(*who), 0);
}

#endif
