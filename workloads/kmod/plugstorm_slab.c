// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slab storm: kthreads that create, fill, drain, shrink and destroy slab
 * caches of many shapes, to run kmem_cache_create(), kmem_cache_shrink() and
 * kmem_cache_destroy() against memory and CPU hotplug (slab_mutex, flush_lock,
 * cpu_hotplug_lock, the slab attributes in sysfs).
 *
 * Every kthread owns its caches, so no lock of ours orders what they do.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cache.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

static unsigned int threads = 4;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads, "kthreads (1 to 64)");

static unsigned int max_caches = 8;
module_param(max_caches, uint, 0444);
MODULE_PARM_DESC(max_caches, "caches of a kthread at a time (1 to 256)");

static unsigned int objects = 256;
module_param(objects, uint, 0444);
MODULE_PARM_DESC(objects, "objects in a cache at a time (1 to 65536)");

static unsigned int merge = 50;
module_param(merge, uint, 0444);
MODULE_PARM_DESC(merge, "percentage of caches that may become an alias of another one");

static int fresh = NUMA_NO_NODE;
module_param(fresh, int, 0444);
MODULE_PARM_DESC(fresh, "a node that comes and goes: caches are made until it has kernel memory, used on it and destroyed (-1 for none)");

static unsigned int rest_ms = 1500;
module_param(rest_ms, uint, 0444);
MODULE_PARM_DESC(rest_ms, "how long at most the fresh node is left alone then");

static unsigned int rate;
module_param(rate, uint, 0444);
MODULE_PARM_DESC(rate, "steps per second and kthread (at most HZ), 0 for as fast as it goes");

static unsigned long seed = 1;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "seed of the random choices");

static atomic_long_t rounds = ATOMIC_LONG_INIT(0);
static atomic_long_t failures = ATOMIC_LONG_INIT(0);

static int storm_get_count(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%ld\n", atomic_long_read(kp->arg));
}

static const struct kernel_param_ops storm_count_ops = {
	.get = storm_get_count,
};

module_param_cb(rounds, &storm_count_ops, &rounds, 0444);
MODULE_PARM_DESC(rounds, "steps done (read only)");
module_param_cb(failures, &storm_count_ops, &failures, 0444);
MODULE_PARM_DESC(failures, "steps refused for want of memory (read only)");

/*
 * The storm wants to see allocations fail, not to wake the OOM killer or to
 * fill the console with allocation failures.
 */
#define STORM_GFP	(GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

/* Before 6.5 only a constructor keeps a cache from being merged. */
#ifndef SLAB_NO_MERGE
#define SLAB_NO_MERGE	((slab_flags_t)0)
#endif

struct storm_cache {
	struct kmem_cache *cache;
	void **object;
	unsigned int used;
};

struct storm_thread {
	struct task_struct *task;
	struct rnd_state rnd;
	unsigned int id;
	unsigned long created;
	struct storm_cache *cache;
};

static struct storm_thread *storm;

static const unsigned int storm_sizes[] = {
	8, 24, 64, 96, 136, 192, 256, 520, 1024, 2048, 4096, 8192,
};

static u32 storm_below(struct storm_thread *t, u32 limit)
{
	return prandom_u32_state(&t->rnd) % limit;
}

static void storm_ctor(void *object)
{
	*(unsigned long *)object = 0;
}

/*
 * Small choices of size, flags and constructor make caches with the same
 * attributes and different names, which is what SLUB merges.
 */
static int storm_create(struct storm_thread *t, struct storm_cache *c)
{
	void (*ctor)(void *object) = NULL;
	slab_flags_t flags = 0;
	char name[40];
	u32 size;

	size = storm_sizes[storm_below(t, ARRAY_SIZE(storm_sizes))];
	if (storm_below(t, 100) >= merge) {
		flags |= SLAB_NO_MERGE;
		if (!SLAB_NO_MERGE || storm_below(t, 2))
			ctor = storm_ctor;
	}
	if (storm_below(t, 2))
		flags |= SLAB_HWCACHE_ALIGN;
	if (!storm_below(t, 4))
		flags |= SLAB_RECLAIM_ACCOUNT;
	if (fresh < 0 && !storm_below(t, 8))	/* its destruction takes long */
		flags |= SLAB_TYPESAFE_BY_RCU;

	snprintf(name, sizeof(name), "plugstorm_%u_%lu", t->id, t->created++);
	c->cache = kmem_cache_create(name, size, 0, flags, ctor);
	return c->cache ? 0 : -ENOMEM;
}

static int storm_node(struct storm_thread *t)
{
	unsigned int skip = storm_below(t, num_online_nodes() + 1);
	int node;

	for_each_online_node(node)
		if (!skip--)
			return node;
	return NUMA_NO_NODE;
}

static int storm_fill(struct storm_thread *t, struct storm_cache *c)
{
	unsigned int want = 1 + storm_below(t, objects);
	int node = storm_node(t);

	while (c->used < want && !kthread_should_stop()) {
		void *object = kmem_cache_alloc_node(c->cache, STORM_GFP, node);

		if (!object)
			return -ENOMEM;
		c->object[c->used++] = object;
		cond_resched();
	}
	return 0;
}

/*
 * One object of every online node, given back at once. A cache that lacks the
 * structures of a node that has memory now shows it here.
 */
static int storm_touch(struct storm_cache *c)
{
	int node, err = 0;

	if (!c->cache)
		return 0;

	for_each_online_node(node) {
		void *object = kmem_cache_alloc_node(c->cache, STORM_GFP, node);

		if (object)
			kmem_cache_free(c->cache, object);
		else
			err = -ENOMEM;
	}
	return err;
}

/* Frees down to @keep objects: oldest first, newest first, or at random. */
static void storm_drain(struct storm_thread *t, struct storm_cache *c,
			unsigned int keep)
{
	unsigned int order = storm_below(t, 3);
	unsigned int first = 0, at;

	while (c->used - first > keep) {
		if (order == 0) {
			kmem_cache_free(c->cache, c->object[first++]);
		} else {
			at = order == 1 ? c->used - 1 : storm_below(t, c->used);
			kmem_cache_free(c->cache, c->object[at]);
			c->object[at] = c->object[--c->used];
		}
		cond_resched();
	}
	if (first) {
		c->used -= first;
		memmove(c->object, c->object + first,
			c->used * sizeof(*c->object));
	}
}

static void storm_destroy(struct storm_thread *t, struct storm_cache *c)
{
	if (!c->cache)
		return;
	storm_drain(t, c, 0);
	kmem_cache_destroy(c->cache);
	c->cache = NULL;
}

static bool storm_fresh(void)
{
	return fresh >= 0 && fresh < MAX_NUMNODES &&
	       node_state(fresh, N_NORMAL_MEMORY);
}

/*
 * The fresh node has memory. Caches made meanwhile have structures there
 * (init_kmem_cache_nodes()), and as long as they live it can't leave.
 */
static void storm_let_go(struct storm_thread *t)
{
	unsigned long end = jiffies + msecs_to_jiffies(rest_ms);
	unsigned int i;

	for (i = 0; i < max_caches; i++)
		storm_touch(&t->cache[i]);
	for (i = 0; i < max_caches; i++)
		storm_destroy(t, &t->cache[i]);
	while (storm_fresh() && time_before(jiffies, end) &&
	       !kthread_should_stop())
		schedule_timeout_interruptible(1);
}

/* Caches only, and as many new ones as it goes. */
static int storm_fresh_step(struct storm_thread *t)
{
	struct storm_cache *c = &t->cache[storm_below(t, max_caches)];

	storm_destroy(t, c);
	if (storm_create(t, c))
		return -ENOMEM;
	if (storm_fresh())
		storm_let_go(t);
	return 0;
}

static int storm_step(struct storm_thread *t)
{
	struct storm_cache *c = &t->cache[storm_below(t, max_caches)];

	if (fresh >= 0)
		return storm_fresh_step(t);
	if (!c->cache)
		return storm_create(t, c);
	switch (storm_below(t, 8)) {
	case 0:
	case 1:
		storm_destroy(t, c);
		return 0;
	case 2:
	case 3:
		storm_drain(t, c, storm_below(t, c->used + 1));
		return 0;
	case 4:
		kmem_cache_shrink(c->cache);
		return 0;
	default:
		return storm_fill(t, c);
	}
}

static void storm_pause(void)
{
	if (!rate) {
		cond_resched();
		return;
	}
	set_current_state(TASK_INTERRUPTIBLE);
	if (!kthread_should_stop())
		schedule_timeout(max_t(long, HZ / rate, 1));
	__set_current_state(TASK_RUNNING);
}

static int storm_run(void *data)
{
	struct storm_thread *t = data;
	unsigned int i;

	while (!kthread_should_stop()) {
		if (storm_step(t))
			atomic_long_inc(&failures);
		else
			atomic_long_inc(&rounds);
		storm_pause();
	}
	for (i = 0; i < max_caches; i++)
		storm_destroy(t, &t->cache[i]);
	return 0;
}

static void storm_free_thread(struct storm_thread *t)
{
	unsigned int i;

	for (i = 0; t->cache && i < max_caches; i++)
		kvfree(t->cache[i].object);
	kvfree(t->cache);
}

static int storm_init_thread(struct storm_thread *t, unsigned int id)
{
	unsigned int i;

	t->id = id;
	prandom_seed_state(&t->rnd, seed * 64 + id);
	t->cache = kvcalloc(max_caches, sizeof(*t->cache), GFP_KERNEL);
	if (!t->cache)
		return -ENOMEM;
	for (i = 0; i < max_caches; i++) {
		t->cache[i].object = kvcalloc(objects, sizeof(void *), GFP_KERNEL);
		if (!t->cache[i].object)
			return -ENOMEM;
	}
	return 0;
}

static void storm_stop(void)
{
	unsigned int i;

	/*
	 * A kthread that is stopped before its first run never calls
	 * storm_run(); it has no caches then.
	 */
	for (i = 0; i < threads; i++)
		if (storm[i].task)
			kthread_stop(storm[i].task);
	for (i = 0; i < threads; i++)
		storm_free_thread(&storm[i]);
	kvfree(storm);
}

static int __init storm_start(void)
{
	struct task_struct *task;
	unsigned int i;
	int err;

	threads = clamp(threads, 1U, 64U);
	max_caches = clamp(max_caches, 1U, 256U);
	objects = clamp(objects, 1U, 65536U);

	storm = kvcalloc(threads, sizeof(*storm), GFP_KERNEL);
	if (!storm)
		return -ENOMEM;
	for (i = 0; i < threads; i++) {
		err = storm_init_thread(&storm[i], i);
		if (err)
			goto stop;
		task = kthread_run(storm_run, &storm[i], "plugstorm_slab/%u", i);
		if (IS_ERR(task)) {
			err = PTR_ERR(task);
			goto stop;
		}
		storm[i].task = task;
	}
	return 0;
stop:
	storm_stop();
	return err;
}

static void __exit storm_exit(void)
{
	storm_stop();
}

module_init(storm_start);
module_exit(storm_exit);

MODULE_DESCRIPTION("plugstorm: slab cache storm against memory and CPU hotplug");
MODULE_LICENSE("GPL");
