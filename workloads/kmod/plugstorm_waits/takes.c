// SPDX-License-Identifier: GPL-2.0-only
/* Who takes which locks, and what was held every time. */

#include <linux/atomic.h>
#include <linux/debug_locks.h>
#include <linux/jhash.h>
#include <linux/lockdep.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "waits.h"

#ifdef WAITS_POSSIBLE

static void waits_note_writer(const void *key, const char *name)
{
	u32 at = jhash_1word((u32)(unsigned long)key, 0);
	unsigned int i;

	for (i = 0; i < WAITS_WINDOW; i++) {
		struct waits_writer *w = &waits_writers[(at + i) % WAITS_WRITERS];

		if (!atomic_read(&w->state) && !atomic_cmpxchg(&w->state, 0, 1)) {
			w->key = key;
			strscpy(w->name, name, sizeof(w->name));
			waits_list(w->held, NULL);
			atomic_set_release(&w->state, 2);
			return;
		}
		if (atomic_read_acquire(&w->state) != 2 || w->key != key)
			continue;
		waits_narrow(w->held);
		return;
	}
	atomic_inc(&waits_lost_takes);
}

static void waits_note_take(const struct waits_who *who, const struct lockdep_map *map, const void *key, bool write,
			    unsigned long ip)
{
	u32 at = jhash_2words((u32)(unsigned long)key, write, waits_hash(who));
	unsigned int i;

	for (i = 0; i < WAITS_WINDOW; i++) {
		struct waits_take *t = &waits_takes[(at + i) % WAITS_TAKES];

		if (!atomic_read(&t->state) && !atomic_cmpxchg(&t->state, 0, 1)) {
			t->who = *who;
			t->lock = (struct waits_lock){ .key = key, .instance = map, .write = write };
			strscpy(t->name, map->name ?: "?", sizeof(t->name));
			waits_list(t->held, NULL);
			t->ip = ip;
			atomic_set(&t->count, 1);
			atomic_set_release(&t->state, 2);
			return;
		}
		if (atomic_read_acquire(&t->state) != 2 || t->lock.key != key || t->lock.write != write ||
		    memcmp(&t->who, who, sizeof(*who)))
			continue;
		atomic_inc(&t->count);
		if (t->lock.instance != map)
			t->lock.instance = NULL;
		if (t->ip != ip)
			t->ip = 0;
		waits_narrow(t->held);
		return;
	}
	atomic_inc(&waits_lost_takes);
}

/* Is called for every lock that is taken. */
void waits_acquire(void *unused, struct lockdep_map *map, unsigned int subclass, int trylock, int read, int check,
		   struct lockdep_map *next_lock, unsigned long ip)
{
	struct waits_who who;
	const void *key;

	if (!waits_sleeps(map->wait_type_inner))
		return;
	if (trylock) {
		if (unlikely(!waits_kernfs) && map->name && !strcmp(map->name, "kn->active"))
			WRITE_ONCE(waits_kernfs, map->name);
		return;
	}
	key = waits_key(map, subclass);
	if (!key || !check || !debug_locks || current->lockdep_recursion || !in_task())
		return;
	if (!read)
		waits_note_writer(key, map->name ?: "?");
	if (current->flags & PF_KTHREAD ? waits_thread(&who) : waits_in_kernfs(&who))
		waits_note_take(&who, map, key, !read, ip);
}

#endif
