// SPDX-License-Identifier: GPL-2.0-only
/*
 * Percpu storm: kthreads that allocate and free percpu areas of many sizes and
 * alignments, to run pcpu_alloc_mutex and the percpu balance work against
 * memory hotplug (which allocates percpu data under mem_hotplug_lock) and CPU
 * hotplug.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

static unsigned int threads = 2;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads, "kthreads (1 to 64)");

static unsigned int areas = 64;
module_param(areas, uint, 0444);
MODULE_PARM_DESC(areas, "areas of a kthread at a time (1 to 4096)");

static unsigned int max_size = 4096;
module_param(max_size, uint, 0444);
MODULE_PARM_DESC(max_size, "largest area in bytes (8 to PCPU_MIN_UNIT_SIZE)");

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
 * The percpu allocator takes only part of the GFP flags seriously; GFP_KERNEL
 * makes it sleep on pcpu_alloc_mutex and create chunks.
 */
#define STORM_GFP	(GFP_KERNEL | __GFP_NOWARN)

struct storm_thread {
	struct task_struct *task;
	struct rnd_state rnd;
	void __percpu **area;
};

static struct storm_thread *storm;

static u32 storm_below(struct storm_thread *t, u32 limit)
{
	return prandom_u32_state(&t->rnd) % limit;
}

/* An allocation is only populated for good when somebody has written to it. */
static int storm_alloc(struct storm_thread *t, void __percpu **area)
{
	size_t size = 8 + storm_below(t, max_size - 7);
	size_t align = 1UL << (3 + storm_below(t, 8));
	void __percpu *new;
	int cpu;

	new = __alloc_percpu_gfp(size, align, STORM_GFP);
	if (!new)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		memset(per_cpu_ptr(new, cpu), 0xa5, size);
	*area = new;
	return 0;
}

static int storm_step(struct storm_thread *t)
{
	void __percpu **area = &t->area[storm_below(t, areas)];

	if (!*area)
		return storm_alloc(t, area);
	free_percpu(*area);
	*area = NULL;
	return 0;
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

	while (!kthread_should_stop()) {
		if (storm_step(t))
			atomic_long_inc(&failures);
		else
			atomic_long_inc(&rounds);
		storm_pause();
	}
	return 0;
}

static void storm_free_thread(struct storm_thread *t)
{
	unsigned int i;

	for (i = 0; t->area && i < areas; i++)
		free_percpu(t->area[i]);
	kvfree(t->area);
}

static void storm_stop(void)
{
	unsigned int i;

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
	int err = -ENOMEM;

	threads = clamp(threads, 1U, 64U);
	areas = clamp(areas, 1U, 4096U);
	max_size = clamp_t(unsigned int, max_size, 8, PCPU_MIN_UNIT_SIZE);

	storm = kvcalloc(threads, sizeof(*storm), GFP_KERNEL);
	if (!storm)
		return -ENOMEM;
	for (i = 0; i < threads; i++) {
		prandom_seed_state(&storm[i].rnd, seed * 64 + i);
		storm[i].area = kvcalloc(areas, sizeof(*storm[i].area), GFP_KERNEL);
		if (!storm[i].area)
			goto stop;
		task = kthread_run(storm_run, &storm[i], "plugstorm_pcpu/%u", i);
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

MODULE_DESCRIPTION("plugstorm: percpu allocation storm against memory and CPU hotplug");
MODULE_LICENSE("GPL");
