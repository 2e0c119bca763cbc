// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory pressure: a balloon that fills a node's kernel zones down to their
 * min watermark and gives pages back only to direct reclaim, through a
 * shrinker. Every allocation that sleeps then goes all the way through
 * __alloc_pages_direct_reclaim(): reclaim makes progress, the pages lie on
 * pcplists, the watermark still fails, drain_all_pages() runs. Fault injection
 * (fail_page_alloc) does not get there, it fails before reclaim.
 *
 * Reclaim doesn't count what a shrinker could give (zone_reclaimable_pages()),
 * so the page allocator calls for the OOM killer as soon as one pass was not
 * enough; the balloon then gives more, and nobody is killed.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/spinlock.h>
#include <linux/swap.h>
#include <linux/version.h>

static unsigned int threads = 1;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads, "kthreads that fill the balloon (1 to 8)");

static unsigned int node;
module_param(node, uint, 0444);
MODULE_PARM_DESC(node, "the node whose kernel zones are filled");

static unsigned int hold_ms = 300;
module_param(hold_ms, uint, 0444);
MODULE_PARM_DESC(hold_ms, "how long memory is kept full");

static unsigned int rest_ms = 700;
module_param(rest_ms, uint, 0444);
MODULE_PARM_DESC(rest_ms, "how long others may have it");

static unsigned int swing_mib = 64;
module_param(swing_mib, uint, 0444);
MODULE_PARM_DESC(swing_mib, "how much is free while the balloon rests (at least 16)");

static unsigned int rate;
module_param(rate, uint, 0444);
MODULE_PARM_DESC(rate, "ignored: hold_ms and rest_ms are the pace");

static unsigned long seed = 1;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "ignored: nothing is drawn");

static atomic_long_t rounds = ATOMIC_LONG_INIT(0);
static atomic_long_t failures = ATOMIC_LONG_INIT(0);
static atomic_long_t given = ATOMIC_LONG_INIT(0);

static int storm_get_count(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%ld\n", atomic_long_read(kp->arg));
}

static const struct kernel_param_ops storm_count_ops = {
	.get = storm_get_count,
};

module_param_cb(rounds, &storm_count_ops, &rounds, 0444);
MODULE_PARM_DESC(rounds, "times the balloon was filled (read only)");
module_param_cb(failures, &storm_count_ops, &failures, 0444);
MODULE_PARM_DESC(failures, "always 0 (read only)");
module_param_cb(given, &storm_count_ops, &given, 0444);
MODULE_PARM_DESC(given, "pages given to direct reclaim (read only)");

/* No reclaim of our own: the balloon stops at the min watermark. */
#define STORM_GFP	((GFP_KERNEL | __GFP_NOWARN | __GFP_THISNODE | \
			  __GFP_NOMEMALLOC) & ~__GFP_RECLAIM)

/* The ballast is made of blocks of so many bytes. */
#define STORM_BLOCK	(1UL << 20)

/* A reclaimer is given half as many pages at a time (see do_shrink_slab()). */
#define STORM_GIVE	128UL

static DEFINE_SPINLOCK(storm_lock);
static LIST_HEAD(storm_pages);	/* single pages */
static LIST_HEAD(storm_ballast);	/* blocks of STORM_BLOCK */
static unsigned long storm_held;	/* pages in both */
static struct task_struct *storm_task[8];

static unsigned int storm_order(void)
{
	return get_order(STORM_BLOCK);
}

static bool storm_take(struct list_head *list, unsigned int order)
{
	struct page *page = alloc_pages_node(node, STORM_GFP, order);

	if (!page)
		return false;
	spin_lock(&storm_lock);
	list_add(&page->lru, list);
	storm_held += 1UL << order;
	spin_unlock(&storm_lock);
	return true;
}

/* Frees one entry of @list and returns how many pages it had. */
static unsigned long storm_give(struct list_head *list, unsigned int order)
{
	struct page *page;

	spin_lock(&storm_lock);
	page = list_first_entry_or_null(list, struct page, lru);
	if (page) {
		list_del(&page->lru);
		storm_held -= 1UL << order;
	}
	spin_unlock(&storm_lock);
	if (!page)
		return 0;
	__free_pages(page, order);
	return 1UL << order;
}

static unsigned long storm_count(struct shrinker *s, struct shrink_control *sc)
{
	return min(READ_ONCE(storm_held), STORM_GIVE);
}

/*
 * kswapd gets nothing: it would end the pressure before anybody had to reclaim
 * for himself.
 */
static unsigned long storm_scan(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long freed = 0, some;

	if (current_is_kswapd())
		return SHRINK_STOP;
	while (freed < sc->nr_to_scan) {
		some = storm_give(&storm_pages, 0);
		if (!some)
			some = storm_give(&storm_ballast, storm_order());
		if (!some)
			break;
		freed += some;
	}
	atomic_long_add(freed, &given);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	mm_account_reclaimed_pages(freed);
#else
	if (current->reclaim_state)
		current->reclaim_state->reclaimed_slab += freed;
#endif
	return freed ? freed : SHRINK_STOP;
}

/* What the balloon gives instead of a victim. */
#define STORM_OOM_GIVE	((16UL << 20) >> PAGE_SHIFT)

static int storm_oom(struct notifier_block *nb, unsigned long unused, void *arg)
{
	unsigned long *freed = arg, some, all = 0;

	while (all < STORM_OOM_GIVE) {
		some = storm_give(&storm_pages, 0);
		if (!some)
			some = storm_give(&storm_ballast, storm_order());
		if (!some)
			break;
		all += some;
	}
	*freed += all;
	atomic_long_add(all, &given);
	return NOTIFY_OK;
}

static struct notifier_block storm_oom_nb = {
	.notifier_call = storm_oom,
};

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
static struct shrinker *storm_shrinker;

static int storm_register(void)
{
	storm_shrinker = shrinker_alloc(0, KBUILD_MODNAME);
	if (!storm_shrinker)
		return -ENOMEM;
	storm_shrinker->count_objects = storm_count;
	storm_shrinker->scan_objects = storm_scan;
	storm_shrinker->seeks = 0;	/* half of what is counted, at any priority */
	storm_shrinker->batch = STORM_GIVE / 2;
	shrinker_register(storm_shrinker);
	return 0;
}

static void storm_unregister(void)
{
	shrinker_free(storm_shrinker);
}
#else
static struct shrinker storm_shrinker = {
	.count_objects = storm_count,
	.scan_objects = storm_scan,
	.seeks = 0,
	.batch = STORM_GIVE / 2,
};

static int storm_register(void)
{
	return register_shrinker(&storm_shrinker, KBUILD_MODNAME);
}

static void storm_unregister(void)
{
	unregister_shrinker(&storm_shrinker);
}
#endif

static void storm_sleep(unsigned int ms)
{
	set_current_state(TASK_INTERRUPTIBLE);
	if (!kthread_should_stop())
		schedule_timeout(max_t(long, msecs_to_jiffies(ms), 1));
	__set_current_state(TASK_RUNNING);
}

static void storm_load(void)
{
	unsigned long swing = (unsigned long)swing_mib << 20;

	while (!kthread_should_stop() &&
	       storm_take(&storm_ballast, storm_order()))
		cond_resched();
	for (; swing >= STORM_BLOCK; swing -= STORM_BLOCK)
		storm_give(&storm_ballast, storm_order());
}

/* Whatever is given away during the hold is taken again. */
static void storm_hold(void)
{
	unsigned long end = jiffies + msecs_to_jiffies(hold_ms);

	while (!kthread_should_stop() && time_before(jiffies, end)) {
		while (!kthread_should_stop() && storm_take(&storm_pages, 0))
			cond_resched();
		storm_sleep(1);
	}
}

static void storm_release(void)
{
	while (storm_give(&storm_pages, 0))
		cond_resched();
}

static int storm_run(void *data)
{
	if (!data)
		storm_load();
	while (!kthread_should_stop()) {
		storm_hold();
		storm_release();
		atomic_long_inc(&rounds);
		storm_sleep(rest_ms);
	}
	return 0;
}

static void storm_stop(void)
{
	unsigned int i;

	for (i = 0; i < threads; i++)
		if (storm_task[i])
			kthread_stop(storm_task[i]);
	storm_release();
	while (storm_give(&storm_ballast, storm_order()))
		cond_resched();
}

static int __init storm_start(void)
{
	struct task_struct *task;
	unsigned long i;
	int err;

	threads = clamp(threads, 1U, 8U);
	swing_mib = max(swing_mib, 16U);
	if (node >= MAX_NUMNODES || !node_state(node, N_MEMORY))
		return -EINVAL;
	err = storm_register();
	if (err)
		return err;
	err = register_oom_notifier(&storm_oom_nb);
	if (err)
		goto unregister;
	for (i = 0; i < threads; i++) {
		task = kthread_run(storm_run, (void *)i, "plugstorm_prs/%lu", i);
		if (IS_ERR(task)) {
			err = PTR_ERR(task);
			goto stop;
		}
		storm_task[i] = task;
	}
	return 0;
stop:
	storm_stop();
	unregister_oom_notifier(&storm_oom_nb);
unregister:
	storm_unregister();
	return err;
}

static void __exit storm_exit(void)
{
	storm_stop();
	unregister_oom_notifier(&storm_oom_nb);
	storm_unregister();
}

module_init(storm_start);
module_exit(storm_exit);

MODULE_DESCRIPTION("plugstorm: memory pressure that ends in direct reclaim");
MODULE_LICENSE("GPL");
