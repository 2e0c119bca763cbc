/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of this module share. main.c says what the module is for. */

#ifndef PLUGSTORM_WAITS_H
#define PLUGSTORM_WAITS_H

#include <linux/atomic.h>
#include <linux/hash.h>
#include <linux/kernfs.h>
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "../plugstorm_probe.h"

#if defined(CONFIG_PROVE_LOCKING) && defined(CONFIG_TRACEPOINTS) && defined(PS_PROBES)

#define WAITS_POSSIBLE

#define WAITS_TAKES	4096
#define WAITS_WAITS	512
#define WAITS_WRITERS	2048
#define WAITS_UNDER	512
#define WAITS_WINDOW	32	/* places that an entry may be at, from its hash on */
#define WAITS_HELD	10	/* locks noted of one task */
#define WAITS_NAME	48	/* of a lock or a file */
#define WAITS_DEPTH	16	/* frames kept of a stack */
#define WAITS_CACHED	8192	/* takes that are known at a glance */

enum waits_who_kind { WHO_THREAD, WHO_WORK, WHO_KERNFS };

struct waits_who {
	enum waits_who_kind kind;
	const void *id;			/* of a work its function, of kernfs the key */
	char comm[TASK_COMM_LEN];	/* of a thread, folded, the rest zero */
};

struct waits_lock {
	const void *key;		/* NULL: none */
	const void *instance;		/* NULL: not always the same */
	bool write, tried;
};

struct waits_take {
	atomic_t state;			/* 0 free, 1 being filled, 2 filled */
	struct waits_who who;
	struct waits_lock lock;
	struct waits_lock held[WAITS_HELD];
	char name[WAITS_NAME];
	unsigned long ip;		/* 0: not always the same */
	atomic_t count;
};

struct waits_wait {
	atomic_t state;
	const char *kind;
	struct waits_who who;
	const void *file;		/* kernfs */
	bool files;			/* several */
	char name[WAITS_NAME];
	struct waits_lock held[WAITS_HELD];
	unsigned int frames;
	unsigned long frame[WAITS_DEPTH];
	atomic_t count;
};

struct waits_writer {
	atomic_t state;
	const void *key;
	struct waits_lock held[WAITS_HELD];
	char name[WAITS_NAME];
};

/* main.c: the tables, as long as their constants say, and what had no room in them */
extern struct waits_take *waits_takes;
extern struct waits_wait *waits_waits;
extern struct waits_writer *waits_writers;
extern u64 *waits_cache;
extern atomic_t waits_lost_takes, waits_lost_waits, waits_lost_works;

/* held.c: what lockdep knows */
extern struct lock_class *waits_classes;

static inline bool waits_sleeps(u8 inner)
{
	return inner == LD_WAIT_SLEEP || inner == LD_WAIT_INV;
}

/* The class of a lock, NULL for one that lockdep doesn't check or know yet. */
static inline const void *waits_key(const struct lockdep_map *map, unsigned int subclass)
{
	if (!map || !map->key || map->key == &__lockdep_no_validate__ || subclass >= MAX_LOCKDEP_SUBCLASSES)
		return NULL;
	return map->key->subkeys + subclass;
}

/* Adds a word to what a hash has been made of so far. */
static inline u64 waits_mix(u64 hash, u64 word)
{
	hash = (hash ^ word) * GOLDEN_RATIO_64;
	return hash ^ (hash >> 32);
}

u64 waits_held_hash(void);
unsigned int waits_list(struct waits_lock *held, const char *but);
void waits_narrow(struct waits_lock *held);

/* who.c: who current is, and what works and threads are called */
extern const char *waits_kernfs;
void waits_fold(char *to, const char *from);
const void *waits_func_of(const struct work_struct *work);
bool waits_thread(struct waits_who *who);
bool waits_in_kernfs(struct waits_who *who);
u64 waits_who_hash(void);
u32 waits_hash(const struct waits_who *who);
void waits_learn_works(void);	/* before anything is noted */
void waits_work_start(void *unused, struct work_struct *work);
void waits_work_end(void *unused, struct work_struct *work, work_func_t func);

/* takes.c: the tracepoint lock_acquire */
void waits_acquire(void *unused, struct lockdep_map *map, unsigned int subclass, int trylock, int read, int check,
		   struct lockdep_map *next_lock, unsigned long ip);

/* probes.c: the functions that wait */
void waits_probe_all(void);
void waits_unprobe_all(void);
bool waits_is_under(const void *key);
void waits_show_probes(struct seq_file *m);

/* show.c: what the files waits and order say */
int waits_waits_show(struct seq_file *m, void *unused);
int waits_order_show(struct seq_file *m, void *unused);

#endif /* PROVE_LOCKING */

#endif /* PLUGSTORM_WAITS_H */
