// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device memory storm: kthreads that map and unmap struct pages for device
 * memory (memremap_pages(), memunmap_pages()) on all online nodes, to run them
 * against each other and against the onlining and offlining of memory blocks:
 * mem_hotplug_lock without device_hotplug_lock, the span of zone Device
 * (move_pfn_range_to_zone()), arch_add_memory(), sparse sections that are
 * filled in parts.
 *
 * The span of zone Device never shrinks (mm/memory_hotplug.c
 * remove_pfn_range_from_zone()), so two mappings only fight for it while it
 * grows: "fresh" ranges lie below all that were mapped before.
 *
 * A range's name in /proc/iomem has a serial number, the node, and the pages
 * that are mapped of it, exactly as long as they are, for whoever compares that file with /proc/zoneinfo.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/memremap.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static unsigned int threads = 3;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads, "kthreads (1 to 64)");

static unsigned int maps = 2;
module_param(maps, uint, 0444);
MODULE_PARM_DESC(maps, "mappings of a kthread at a time (1 to 64)");

static unsigned int max_sections = 1;
module_param(max_sections, uint, 0444);
MODULE_PARM_DESC(max_sections, "sections of a mapping (1 to 64)");

static unsigned int part = 85;
module_param(part, uint, 0444);
MODULE_PARM_DESC(part, "percentage of mappings that fill sections in part");

static unsigned int fresh = 60;
module_param(fresh, uint, 0444);
MODULE_PARM_DESC(fresh, "percentage of mappings that make zone Device grow");

static unsigned int generic;
module_param(generic, uint, 0444);
MODULE_PARM_DESC(generic, "percentage of mappings with a linear mapping (MEMORY_DEVICE_GENERIC)");

static unsigned int rooted;
module_param(rooted, uint, 0444);
MODULE_PARM_DESC(rooted, "percentage of mappings on nodes that have CPUs: one on a node that goes keeps it");

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
MODULE_PARM_DESC(failures, "steps refused for want of memory or of a range (read only)");

#define STORM_SECTION	(1ULL << SECTION_SIZE_BITS)

/* What __add_pages() takes (mm/memory_hotplug.c check_pfn_span()). */
#define STORM_PART	(1ULL << SUBSECTION_SHIFT)

/* What takes time is the initialisation of struct pages, not what we want. */
#define STORM_FEW	8

/* Above all memory that a machine of ours can have. */
#define STORM_FLOOR	(64ULL << 30)

struct storm_map {
	struct dev_pagemap pgmap;
	struct resource *range;		/* NULL: not mapped */
	char name[80];
};

struct storm_thread {
	struct task_struct *task;
	struct rnd_state rnd;
	struct storm_map *map;
};

static struct storm_thread *storm;
static const char storm_idle[] = KBUILD_MODNAME;

static DEFINE_SPINLOCK(storm_lock);
static u64 storm_top;			/* where fresh ranges begin */
static u64 storm_next;			/* the next one ends here; storm_lock */
static atomic_long_t storm_serial = ATOMIC_LONG_INIT(0);

static u32 storm_below(struct storm_thread *t, u32 limit)
{
	return prandom_u32_state(&t->rnd) % limit;
}

/* Nothing ever lives in our pages, so nothing can come back from them. */
static void storm_page_free(struct page *page)
{
}

static vm_fault_t storm_migrate_to_ram(struct vm_fault *fault)
{
	return VM_FAULT_SIGBUS;
}

static const struct dev_pagemap_ops storm_ops = {
	.page_free = storm_page_free,
	.migrate_to_ram = storm_migrate_to_ram,
};

static u64 storm_take(u64 size)
{
	u64 start;

	spin_lock(&storm_lock);
	if (storm_next < STORM_FLOOR + size)
		storm_next = storm_top;
	storm_next -= size;
	start = storm_next;
	spin_unlock(&storm_lock);
	return start;
}

static struct resource *storm_range(struct storm_thread *t, u64 size)
{
	struct resource *range;
	u64 start;

	if (storm_top && storm_below(t, 100) < fresh) {
		start = storm_take(size);
		if (region_intersects(start, size, 0, IORES_DESC_NONE) != REGION_DISJOINT)
			return NULL;
		return request_mem_region(start, size, storm_idle);
	}
	range = request_free_mem_region(&iomem_resource, size, storm_idle);
	return IS_ERR(range) ? NULL : range;
}

static int storm_node(struct storm_thread *t)
{
	enum node_states state = rooted && storm_below(t, 100) < rooted ? N_CPU : N_ONLINE;
	unsigned int skip = storm_below(t, num_node_state(state));
	int node;

	for_each_node_state(node, state)
		if (!skip--)
			return node;
	return first_online_node;
}

/*
 * The two fields of a span are written one by one and can be seen between, so
 * a span counts as wrong only when it stays so.
 */
static void storm_check(struct dev_pagemap *pgmap, int node)
{
	unsigned long first = PHYS_PFN(pgmap->range.start);
	unsigned long last = PHYS_PFN(pgmap->range.end);
	struct zone *zone = page_zone(pfn_to_page(first));
	int tries;

	for (tries = 0; tries < 5; tries++) {
		if (zone_spans_pfn(zone, first) && zone_spans_pfn(zone, last))
			return;
		msleep(20);
	}
	pr_err("ZONESPAN: zone %s of node %d spans pfn %#lx-%#lx, not %#lx-%#lx that memremap_pages() has put into it\n",
	       zone->name, node, zone->zone_start_pfn, zone_end_pfn(zone) - 1,
	       first, last);
}

static void storm_release(struct storm_map *m)
{
	release_mem_region(m->range->start, resource_size(m->range));
	m->range = NULL;
}

static int storm_map(struct storm_thread *t, struct storm_map *m)
{
	u64 size = (1 + storm_below(t, max_sections)) * STORM_SECTION;
	bool private = storm_below(t, 100) >= generic;
	u64 begin = 0, end = size;
	int node = storm_node(t);
	void *mapped;

	m->range = storm_range(t, size);
	if (!m->range)
		return -EBUSY;
	/* A linear mapping is made of large pages only. */
	if (private && storm_below(t, 100) < part) {
		begin = storm_below(t, STORM_SECTION / STORM_PART) * STORM_PART;
		end = begin + (1 + storm_below(t, min_t(u64, (size - begin) / STORM_PART, STORM_FEW))) * STORM_PART;
	}
	memset(&m->pgmap, 0, sizeof(m->pgmap));
	m->pgmap.type = private ? MEMORY_DEVICE_PRIVATE : MEMORY_DEVICE_GENERIC;
	m->pgmap.ops = private ? &storm_ops : NULL;
	m->pgmap.owner = &storm;
	m->pgmap.nr_range = 1;
	m->pgmap.range.start = m->range->start + begin;
	m->pgmap.range.end = m->range->start + end - 1;
	mapped = memremap_pages(&m->pgmap, node);
	if (IS_ERR(mapped)) {
		storm_release(m);
		return PTR_ERR(mapped);
	}
	snprintf(m->name, sizeof(m->name), "%s #%ld node %d pfn %llx-%llx",
		 storm_idle, atomic_long_inc_return(&storm_serial), node,
		 m->pgmap.range.start >> PAGE_SHIFT,
		 m->pgmap.range.end >> PAGE_SHIFT);
	WRITE_ONCE(m->range->name, m->name);
	storm_check(&m->pgmap, node);
	return 0;
}

static void storm_unmap(struct storm_map *m)
{
	if (!m->range)
		return;
	WRITE_ONCE(m->range->name, storm_idle);
	memunmap_pages(&m->pgmap);
	storm_release(m);
}

static int storm_step(struct storm_thread *t)
{
	struct storm_map *m = &t->map[storm_below(t, maps)];

	if (!m->range)
		return storm_map(t, m);
	storm_unmap(m);
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
	unsigned int i;

	while (!kthread_should_stop()) {
		if (storm_step(t))
			atomic_long_inc(&failures);
		else
			atomic_long_inc(&rounds);
		storm_pause();
	}
	for (i = 0; i < maps; i++)
		storm_unmap(&t->map[i]);
	return 0;
}

static void storm_stop(void)
{
	unsigned int i;

	/*
	 * A kthread that is stopped before its first run never calls
	 * storm_run(); it has mapped nothing then.
	 */
	for (i = 0; i < threads; i++)
		if (storm[i].task)
			kthread_stop(storm[i].task);
	for (i = 0; i < threads; i++)
		kvfree(storm[i].map);
	kvfree(storm);
}

/* Finds the end of what can be mapped: the kernel fills it from there. */
static void __init storm_find_top(void)
{
	struct resource *range;

	range = request_free_mem_region(&iomem_resource, STORM_SECTION, storm_idle);
	if (IS_ERR(range))
		return;
	if (range->start >= 2 * STORM_FLOOR)
		storm_top = round_down(range->start, STORM_SECTION);
	storm_next = storm_top;
	release_mem_region(range->start, resource_size(range));
}

static int __init storm_start(void)
{
	struct task_struct *task;
	unsigned int i;
	int err;

	threads = clamp(threads, 1U, 64U);
	maps = clamp(maps, 1U, 64U);
	max_sections = clamp(max_sections, 1U, 64U);
	storm_find_top();

	storm = kvcalloc(threads, sizeof(*storm), GFP_KERNEL);
	if (!storm)
		return -ENOMEM;
	for (i = 0; i < threads; i++) {
		struct storm_thread *t = &storm[i];

		prandom_seed_state(&t->rnd, seed * 64 + i);
		t->map = kvcalloc(maps, sizeof(*t->map), GFP_KERNEL);
		if (!t->map) {
			err = -ENOMEM;
			goto stop;
		}
		task = kthread_run(storm_run, t, "plugstorm_pgmap/%u", i);
		if (IS_ERR(task)) {
			err = PTR_ERR(task);
			goto stop;
		}
		t->task = task;
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

MODULE_DESCRIPTION("plugstorm: device memory storm against memory hotplug");
MODULE_LICENSE("GPL");
