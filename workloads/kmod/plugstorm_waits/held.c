// SPDX-License-Identifier: GPL-2.0-only
/* What lockdep knows: classes of locks, and what current holds. */

#include <linux/atomic.h>
#include <linux/lockdep.h>
#include <linux/string.h>

#include "waits.h"

#ifdef WAITS_POSSIBLE

/* lockdep's array of classes: found by what held locks say of theirs. */
struct lock_class *waits_classes;
static struct lock_class *waits_guess;
static atomic_t waits_agree;
static unsigned int waits_last;

/*
 * A held lock tells its class by number, and its lockdep_map by address, but the
 * address is that of subclass 0, which the lock needn't be held with. Such a lock
 * is wrong the same way each time, but not as another one is: so many different
 * ones in a row that agree are right.
 */
static void waits_learn(const struct held_lock *hlock)
{
	struct lock_class *class = hlock->instance->class_cache[0], *base;

	if (waits_classes || !class || !hlock->class_idx || hlock->class_idx == READ_ONCE(waits_last))
		return;
	WRITE_ONCE(waits_last, hlock->class_idx);
	base = class - hlock->class_idx;
	if (base != waits_guess) {
		waits_guess = base;
		atomic_set(&waits_agree, 0);
	} else if (atomic_inc_return(&waits_agree) >= 8) {
		WRITE_ONCE(waits_classes, base);
	}
}

static const void *waits_held_key(const struct held_lock *hlock)
{
	const struct lock_class *classes = READ_ONCE(waits_classes);

	if (!hlock->instance || !hlock->check || !waits_key(hlock->instance, 0) ||
	    !waits_sleeps(hlock->instance->wait_type_inner))
		return NULL;
	if (classes)
		return classes[hlock->class_idx].key;
	waits_learn(hlock);
	return waits_key(hlock->instance, 0);
}

/* Stands for all that waits_list() goes by. */
u64 waits_held_hash(void)
{
	u64 hash = waits_mix(0, (unsigned long)READ_ONCE(waits_classes));
	int i, depth = ps_depth();

	for (i = 0; i < depth; i++) {
		const struct held_lock *hlock = &current->held_locks[i];
		u64 how = hlock->class_idx | hlock->read << 13 | hlock->trylock << 15 | hlock->check << 16;

		hash = waits_mix(hash, (unsigned long)hlock->instance ^ how << 47);
	}
	return hash;
}

/* Lists what current holds; all but a lock of this name. */
unsigned int waits_list(struct waits_lock *held, const char *but)
{
	int i, depth = ps_depth();
	unsigned int n = 0;

	for (i = 0; i < depth && n < WAITS_HELD; i++) {
		const struct held_lock *hlock = &current->held_locks[i];
		const void *key = waits_held_key(hlock);

		if (!key || (but && hlock->instance->name && !strcmp(hlock->instance->name, but)))
			continue;
		held[n].key = key;
		held[n].instance = hlock->instance;
		held[n].write = !hlock->read;
		held[n].tried = hlock->trylock;
		n++;
	}
	return n;
}

static struct waits_lock *waits_find_lock(struct waits_lock *held, const void *key)
{
	unsigned int i;

	for (i = 0; i < WAITS_HELD; i++)
		if (READ_ONCE(held[i].key) == key)
			return &held[i];
	return NULL;
}

/* What is not held now was not held every time. */
void waits_narrow(struct waits_lock *held)
{
	struct waits_lock now[WAITS_HELD];
	unsigned int i;

	for (i = 0; i < WAITS_HELD && !READ_ONCE(held[i].key); i++)
		;
	if (i == WAITS_HELD)
		return;
	memset(now, 0, sizeof(now));
	waits_list(now, NULL);
	for (; i < WAITS_HELD; i++) {
		struct waits_lock *l;

		if (!held[i].key)
			continue;
		l = waits_find_lock(now, held[i].key);
		if (!l) {
			WRITE_ONCE(held[i].key, NULL);
			continue;
		}
		if (l->instance != held[i].instance)
			held[i].instance = NULL;
		held[i].tried &= l->tried;
		held[i].write &= l->write;
	}
}

#endif
