// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module to be loaded and unloaded over and over: it brings a static percpu
 * variable (percpu memory of modules), and makes and destroys one slab cache
 * and one dynamic percpu area.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/slab.h>

static DEFINE_PER_CPU(unsigned long, tiny_static);

static struct kmem_cache *tiny_cache;
static unsigned long __percpu *tiny_area;

static int __init tiny_init(void)
{
	tiny_cache = kmem_cache_create(KBUILD_MODNAME, 200, 0, 0, NULL);
	if (!tiny_cache)
		return -ENOMEM;
	tiny_area = alloc_percpu(unsigned long);
	if (!tiny_area) {
		kmem_cache_destroy(tiny_cache);
		return -ENOMEM;
	}
	raw_cpu_inc(tiny_static);
	raw_cpu_inc(*tiny_area);
	return 0;
}

static void __exit tiny_exit(void)
{
	free_percpu(tiny_area);
	kmem_cache_destroy(tiny_cache);
}

module_init(tiny_init);
module_exit(tiny_exit);

MODULE_DESCRIPTION("plugstorm: a module to load and unload");
MODULE_LICENSE("GPL");
