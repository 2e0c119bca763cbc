// SPDX-License-Identifier: GPL-2.0-only
/* Who waits for whom, under which locks: kprobes at the functions that wait. */

#include <linux/atomic.h>
#include <linux/debug_locks.h>
#include <linux/jhash.h>
#include <linux/kernel.h>
#include <linux/kernfs.h>
#include <linux/kprobes.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "waits.h"

#ifdef WAITS_POSSIBLE

/* The classes that somebody has waited under. */
static atomic_long_t waits_under[WAITS_UNDER];

static atomic_long_t *waits_under_of(const void *key, bool make)
{
	u32 at = jhash_1word((u32)(unsigned long)key, 0);
	unsigned int i;

	for (i = 0; i < WAITS_WINDOW; i++) {
		atomic_long_t *u = &waits_under[(at + i) % WAITS_UNDER];
		long old = atomic_long_read(u);

		if (!old && make)
			old = atomic_long_cmpxchg(u, 0, (long)key) ?: (long)key;
		if (old == (long)key)
			return u;
	}
	return NULL;
}

/* Says whether somebody has waited, for anybody, while holding a lock of this class. */
bool waits_is_under(const void *key)
{
	return waits_under_of(key, false);
}

static bool waits_same_held(const struct waits_lock *a, const struct waits_lock *b)
{
	unsigned int i;

	for (i = 0; i < WAITS_HELD; i++)
		if (a[i].key != b[i].key || a[i].write != b[i].write)
			return false;
	return true;
}

static void waits_again(struct waits_wait *w, const struct waits_lock *held, const void *file)
{
	unsigned int i;

	atomic_inc(&w->count);
	for (i = 0; i < WAITS_HELD; i++)
		if (w->held[i].instance != held[i].instance)
			w->held[i].instance = NULL;
	if (w->file != file)
		w->files = true;
}

static void waits_note_under(const struct waits_lock *held)
{
	unsigned int i;

	for (i = 0; i < WAITS_HELD && held[i].key; i++)
		if (!waits_under_of(held[i].key, true))
			atomic_inc(&waits_lost_waits);
}

/* Files of one class that have different names are told apart. */
static void waits_note_wait(struct pt_regs *regs, const char *kind, const struct waits_who *who,
			    const struct kernfs_node *file)
{
	struct waits_lock held[WAITS_HELD] = {};
	char name[WAITS_NAME] = "";
	unsigned int i;
	u32 at;

	if (!debug_locks || !waits_list(held, file ? "&root->kernfs_rwsem" : NULL))
		return;
	if (file)
		strscpy(name, file->name ?: "?", sizeof(name));
	at = jhash(name, strlen(name), waits_hash(who));
	for (i = 0; i < WAITS_HELD && held[i].key; i++)
		at = jhash_2words((u32)(unsigned long)held[i].key, held[i].write, at);
	for (i = 0; i < WAITS_WINDOW; i++) {
		struct waits_wait *w = &waits_waits[(at + i) % WAITS_WAITS];

		if (!atomic_read(&w->state) && !atomic_cmpxchg(&w->state, 0, 1)) {
			w->kind = kind;
			w->who = *who;
			w->file = file;
			strscpy(w->name, name, sizeof(w->name));
			memcpy(w->held, held, sizeof(held));
			w->frames = ps_stack(regs, w->frame, WAITS_DEPTH);
			waits_note_under(held);
			atomic_set(&w->count, 1);
			atomic_set_release(&w->state, 2);
			return;
		}
		if (atomic_read_acquire(&w->state) != 2 || w->kind != kind || memcmp(&w->who, who, sizeof(*who)) ||
		    strcmp(w->name, name) || !waits_same_held(w->held, held))
			continue;
		waits_again(w, held, file);
		return;
	}
	atomic_inc(&waits_lost_waits);
}

static void waits_for_task(struct pt_regs *regs, const char *kind, const struct task_struct *task)
{
	struct waits_who who = { .kind = WHO_THREAD };

	waits_fold(who.comm, task->comm);
	waits_note_wait(regs, kind, &who, NULL);
}

static int waits_stop(struct kprobe *p, struct pt_regs *regs)
{
	waits_for_task(regs, "stop", (struct task_struct *)ps_argument(regs, 0));
	return 0;
}

static int waits_park(struct kprobe *p, struct pt_regs *regs)
{
	waits_for_task(regs, "park", (struct task_struct *)ps_argument(regs, 0));
	return 0;
}

/* All kernel threads are made by kthreadd (kernel/kthread.c). */
static int waits_create(struct kprobe *p, struct pt_regs *regs)
{
	struct waits_who who = { .kind = WHO_THREAD, .comm = "kthreadd" };

	waits_note_wait(regs, "create", &who, NULL);
	return 0;
}

/* bool __flush_work(struct work_struct *work, bool from_cancel) */
static int waits_flush(struct kprobe *p, struct pt_regs *regs)
{
	const struct work_struct *work = (struct work_struct *)ps_argument(regs, 0);
	struct waits_who who = { .kind = WHO_WORK, .id = waits_func_of(work) };

	if (who.id)
		waits_note_wait(regs, (u8)ps_argument(regs, 1) ? "cancel" : "flush", &who, NULL);
	return 0;
}

/* void kernfs_drain(struct kernfs_node *kn), which lets go of kernfs_rwsem before it waits. */
static int waits_remove(struct kprobe *p, struct pt_regs *regs)
{
	const struct kernfs_node *kn = (struct kernfs_node *)ps_argument(regs, 0);
	struct waits_who who = { .kind = WHO_KERNFS };

	if (!(kn->flags & KERNFS_LOCKDEP))
		return 0;
	who.id = waits_key(&kn->dep_map, 0);
	if (who.id)
		waits_note_wait(regs, "remove", &who, kn);
	return 0;
}

static struct waits_probe {
	struct kprobe probe;
	int error;
} waits_probes[] = {
	{ .probe = { .symbol_name = "kthread_stop", .pre_handler = waits_stop, .post_handler = ps_after } },
	{ .probe = { .symbol_name = "kthread_park", .pre_handler = waits_park, .post_handler = ps_after } },
	{ .probe = { .symbol_name = "__kthread_create_on_node", .pre_handler = waits_create, .post_handler = ps_after } },
	{ .probe = { .symbol_name = "__flush_work", .pre_handler = waits_flush, .post_handler = ps_after } },
	{ .probe = { .symbol_name = "kernfs_drain", .pre_handler = waits_remove, .post_handler = ps_after } },
};

void waits_probe_all(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(waits_probes); i++)
		waits_probes[i].error = register_kprobe(&waits_probes[i].probe);
}

void waits_unprobe_all(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(waits_probes); i++)
		if (!waits_probes[i].error)
			unregister_kprobe(&waits_probes[i].probe);
}

void waits_show_probes(struct seq_file *m)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(waits_probes); i++) {
		const struct waits_probe *p = &waits_probes[i];

		seq_printf(m, "probe %s ", p->probe.symbol_name);
		if (p->error)
			seq_printf(m, "state=unavailable:%d\n", -p->error);
		else
			seq_printf(m, "state=ok missed=%lu\n", p->probe.nmissed);
	}
}

#endif
