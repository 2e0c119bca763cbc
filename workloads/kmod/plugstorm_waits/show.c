// SPDX-License-Identifier: GPL-2.0-only
/* The answers: the files waits and order. */

#include <linux/atomic.h>
#include <linux/debug_locks.h>
#include <linux/lockdep.h>
#include <linux/rculist.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "waits.h"

#ifdef WAITS_POSSIBLE

#define WAITS_CLASSES	(1U << MAX_LOCKDEP_KEYS_BITS)
#define WAITS_EDGES	2048	/* looked at, of one class */

static void waits_show_who(struct seq_file *m, const struct waits_who *who)
{
	switch (who->kind) {
	case WHO_THREAD:
		seq_puts(m, " thread:");
		seq_escape(m, who->comm, " \t\n\\");
		break;
	case WHO_WORK:
		seq_printf(m, " work:%ps", who->id);
		break;
	case WHO_KERNFS:
		seq_printf(m, " kernfs:%p", who->id);
		break;
	}
}

static void waits_show_held(struct seq_file *m, const struct waits_lock *held)
{
	unsigned int i, n = 0;

	seq_puts(m, " held=");
	for (i = 0; i < WAITS_HELD; i++) {
		const void *key = READ_ONCE(held[i].key), *instance = READ_ONCE(held[i].instance);

		if (!key)
			continue;
		seq_printf(m, "%s%p:%c%s:", n++ ? "," : "", key, held[i].write ? 'w' : 'r', held[i].tried ? "t" : "");
		if (instance)
			seq_printf(m, "%p", instance);
		else
			seq_putc(m, '0');
	}
	if (!n)
		seq_putc(m, '-');
}

static void waits_show_instance(struct seq_file *m, const void *instance, bool many)
{
	seq_printf(m, " inst=%p many=%d", instance, many);
}

static bool waits_awaited(const struct waits_who *who)
{
	unsigned int i;

	for (i = 0; i < WAITS_WAITS; i++)
		if (atomic_read_acquire(&waits_waits[i].state) == 2 && !memcmp(&waits_waits[i].who, who, sizeof(*who)))
			return true;
	return false;
}

static void waits_show_take(struct seq_file *m, const struct waits_take *t)
{
	if (atomic_read_acquire(&t->state) != 2 || (!waits_is_under(t->lock.key) && !waits_awaited(&t->who)))
		return;
	seq_puts(m, "take");
	waits_show_who(m, &t->who);
	seq_printf(m, " key=%p mode=%c n=%d", t->lock.key, t->lock.write ? 'w' : 'r', atomic_read(&t->count));
	waits_show_instance(m, t->lock.instance, !t->lock.instance);
	if (t->ip)
		seq_printf(m, " at=%ps", (void *)t->ip);
	else
		seq_puts(m, " at=-");
	waits_show_held(m, t->held);
	seq_puts(m, " lock=");
	seq_escape(m, t->name, "\t\n\\");
	seq_putc(m, '\n');
}

static void waits_show_wait(struct seq_file *m, const struct waits_wait *w)
{
	unsigned int i;

	if (atomic_read_acquire(&w->state) != 2)
		return;
	seq_printf(m, "wait %s", w->kind);
	waits_show_who(m, &w->who);
	seq_printf(m, " n=%d", atomic_read(&w->count));
	waits_show_instance(m, w->file ? &((const struct kernfs_node *)w->file)->dep_map : NULL, w->files);
	waits_show_held(m, w->held);
	seq_puts(m, " name=");
	seq_escape(m, w->name, " \t\n\\");
	seq_puts(m, " stack=");
	for (i = 0; i < w->frames; i++)
		seq_printf(m, "%s%ps", i ? "<" : "", (void *)w->frame[i]);
	seq_putc(m, '\n');
}

static void waits_show_writers(struct seq_file *m)
{
	unsigned int i;

	for (i = 0; i < WAITS_WRITERS; i++) {
		const struct waits_writer *w = &waits_writers[i];

		if (atomic_read_acquire(&w->state) != 2)
			continue;
		seq_printf(m, "writer %p", w->key);
		waits_show_held(m, w->held);
		seq_putc(m, ' ');
		seq_escape(m, w->name, "\t\n\\");
		seq_putc(m, '\n');
	}
}

int waits_waits_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	seq_printf(m, "plugstorm_waits 1\ndebug_locks %d\n", READ_ONCE(debug_locks));
	seq_printf(m, "lost takes=%d waits=%d works=%d\n", atomic_read(&waits_lost_takes), atomic_read(&waits_lost_waits),
		   atomic_read(&waits_lost_works));
	waits_show_probes(m);
	for (i = 0; i < WAITS_WAITS; i++)
		waits_show_wait(m, &waits_waits[i]);
	for (i = 0; i < WAITS_TAKES; i++)
		waits_show_take(m, &waits_takes[i]);
	waits_show_writers(m);
	return 0;
}

static void waits_show_key(struct seq_file *m, const void *key)
{
	seq_printf(m, "key %p %pS\n", key, (void *)key);
}

/* As lockdep does in /proc/lockdep, without its counts, for which it walks the whole graph. */
static void waits_show_class(struct seq_file *m, const struct lock_class *class)
{
	const struct lock_list *entry;
	unsigned int n = 0;

	if (!class->key || !waits_sleeps(class->wait_type_inner))
		return;
	seq_printf(m, "class %zu %p ", class - waits_classes, class->key);
	if (class->name)
		seq_escape(m, class->name, "\t\n\\");
	else
		seq_printf(m, "%ps", class->key);
	if (class->name_version > 1)
		seq_printf(m, "#%d", class->name_version);
	if (class->subclass)
		seq_printf(m, "/%d", class->subclass);
	seq_putc(m, '\n');
	waits_show_key(m, class->key);
	list_for_each_entry_rcu(entry, &class->locks_after, entry, true) {
		if (entry->distance == 1 && waits_sleeps(entry->class->wait_type_inner) && n++ < WAITS_EDGES)
			seq_printf(m, "edge %zu %zu %x\n", class - waits_classes, entry->class - waits_classes, entry->dep);
	}
}

int waits_order_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	seq_puts(m, "plugstorm_waits 1\n");
	/* lockdep knows no class of a file that nobody has used (fs/kernfs/dir.c kernfs_drain). */
	for (i = 0; i < WAITS_WAITS; i++)
		if (atomic_read_acquire(&waits_waits[i].state) == 2 && waits_waits[i].who.kind == WHO_KERNFS)
			waits_show_key(m, waits_waits[i].who.id);
	for (i = 0; READ_ONCE(waits_classes) && i < WAITS_CLASSES; i++) {
		rcu_read_lock();
		waits_show_class(m, &waits_classes[i]);
		rcu_read_unlock();
	}
	return 0;
}

#endif
