// SPDX-License-Identifier: GPL-2.0-only
/* Who takes which locks, and what was held every time. */

#include <linux/atomic.h>
#include <linux/debug_locks.h>
#include <linux/errno.h>
#include <linux/jhash.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "waits.h"

#ifdef WAITS_POSSIBLE

/*
 * Most takes are like one before in all that is noted, so that only a count changes.
 * A word of the cache is such a take: what it was as a hash, and in the low bits which
 * of waits_takes counts it.
 */
#define WAITS_INDEX	(2 * WAITS_TAKES - 1)	/* the low bits */
#define WAITS_NOBODY	WAITS_TAKES		/* in them: who takes it is of no interest */

/* Stands for all that noting a take goes by. */
static u64 waits_take_hash(const struct lockdep_map *map, const void *key, bool write, unsigned long ip)
{
	u64 hash = waits_mix(waits_held_hash(), waits_who_hash());

	hash = waits_mix(waits_mix(hash, (unsigned long)map), (unsigned long)key);
	return waits_mix(hash, (u64)ip << 1 | write) & ~(u64)WAITS_INDEX;
}

static u64 *waits_cached(u64 hash)
{
	return &waits_cache[hash >> (64 - ilog2(WAITS_CACHED))];
}

/* Counts a take like one before, and says whether it is. */
static bool waits_known(u64 hash)
{
	u64 known = READ_ONCE(*waits_cached(hash));

	if ((known & ~(u64)WAITS_INDEX) != hash)
		return false;
	if ((known & WAITS_INDEX) != WAITS_NOBODY)
		atomic_inc(&waits_takes[known & WAITS_INDEX].count);
	return true;
}

/* Returns whether there was room. */
static bool waits_note_writer(const void *key, const char *name)
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
			return true;
		}
		if (atomic_read_acquire(&w->state) != 2 || w->key != key)
			continue;
		waits_narrow(w->held);
		return true;
	}
	atomic_inc(&waits_lost_takes);
	return false;
}

/* Returns which of waits_takes it is, less than 0 for want of room. */
static int waits_note_take(const struct waits_who *who, const struct lockdep_map *map, const void *key, bool write,
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
			return t - waits_takes;
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
		return t - waits_takes;
	}
	atomic_inc(&waits_lost_takes);
	return -ENOSPC;
}

/* Is called for every lock that is taken. */
void waits_acquire(void *unused, struct lockdep_map *map, unsigned int subclass, int trylock, int read, int check,
		   struct lockdep_map *next_lock, unsigned long ip)
{
	struct waits_who who;
	int taken = WAITS_NOBODY;
	const void *key;
	bool room = true;
	u64 hash;

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
	hash = waits_take_hash(map, key, !read, ip);
	if (waits_known(hash))
		return;
	if (!read)
		room = waits_note_writer(key, map->name ?: "?");
	if (current->flags & PF_KTHREAD ? waits_thread(&who) : waits_in_kernfs(&who))
		taken = waits_note_take(&who, map, key, !read, ip);
	if (room && taken >= 0)
		WRITE_ONCE(*waits_cached(hash), hash | taken);
}

#endif
