// SPDX-License-Identifier: GPL-2.0-only
/*
 * A rule checker for locks: kprobes on named functions look at what the caller
 * holds. It finds a rule broken at the first call, with no race needed, counts
 * which locks are seen held at each function, and can widen race windows by a
 * delay at a function. docs/rules.md says what it is for.
 *
 * Interface, in debugfs below plugstorm_rules/:
 *
 * rules (write): replaces everything there was. One write(2), one rule a line;
 * blank lines and what follows '#' at the beginning of a word are ignored.
 *
 *   FUNC [bus=NAME[,NAME]]: TERM...	rule: what a caller of FUNC must hold
 *   watch FUNC [bus=NAME[,NAME]]	counts only
 *   watch FUNC upto=N			counts N calls, no locks, and lets go; not of a FUNC
 *					that another line names
 *   widen FUNC USEC			busy delay at FUNC, at most 10000
 *
 *   TERM = LOCK(w) | LOCK(r)		must be held to write | to write or read
 *        | LOCK(w)|LOCK(r)...		one of these
 *        | !LOCK | !LOCK(w)		must not be held | not to write
 *
 * bus= looks at the first argument, a struct device *, and lets a call count
 * only if the device is on one of these buses. A bad line is an error (EINVAL)
 * and leaves no rule.
 *
 * status (read): "plugstorm_rules 1", then one line each:
 *
 *   debug_locks N			0: lockdep is off, nothing is checked
 *   reports printed=N unprinted=N nested=N
 *					unprinted: a bound of ours was hit; nested: see below
 *   func NAME symbol=S state=ok|spent|unavailable:ERRNO hits=N off=N self=N missed=N widen=USEC
 *   rule INDEX FUNC state=ok|unavailable hits=N violations=N : TERM...
 *
 * hits counts calls, off those while lockdep was off, self those of a task that
 * had switched lockdep off for itself (neither is checked), missed those that
 * the kprobe could not see (kprobe.nmissed). NAME is FUNC or FUNC[bus=...]. Of one
 * that is spent there were more calls.
 *
 * contracts (read): "plugstorm_rules 1", then for each function without upto=
 *
 *   func NAME checked=N lost=N		lost: sightings of locks that had no room
 *   lock w=N r=N LOCK			held to write, to read; the rest of checked: not held
 *
 * A violation is printed once per rule, kind and call path, up to RULES_PER_RULE
 * times a rule, unless it is inside (nested in) one that is about the same lock:
 *
 *   LOCKRULE: FUNC: LOCK required WRITE|READ, held READ|not held
 *   LOCKRULE: FUNC: LOCK forbidden, held WRITE|READ
 *
 * followed by the task, its rule, its locks and a call trace that begins with FUNC.
 *
 * plugstorm_probe.h says how held locks are read. They are known by name, which
 * needs no symbol that isn't exported.
 */

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "rules.h"

#ifndef RULES_POSSIBLE

/* The module builds everywhere and says by its error that it can't check. */
static int __init rules_init(void)
{
	pr_info("plugstorm_rules: this kernel has no lockdep, kprobes or stack traces\n");
	return -EOPNOTSUPP;
}

module_init(rules_init);

#else

DEFINE_MUTEX(rules_mutex);
static DEFINE_MUTEX(rules_writing);	/* outside of rules_mutex */
struct rules_set *rules_set;
static struct dentry *rules_dir;

static void rules_probe(struct rules_func *f)
{
	char name[RULES_NAME];

	strscpy(name, f->symbol, sizeof(name));
	f->probe.pre_handler = rules_hit;
	f->probe.post_handler = ps_after;
	f->error = ps_register(&f->probe, name, f->symbol, sizeof(f->symbol));
}

static void rules_unprobe(struct rules_set *set)
{
	unsigned int i, n = 0;

	for (i = 0; set && i < set->funcs; i++)
		if (!set->func[i]->error)
			set->probes[n++] = &set->func[i]->probe;
	if (n)
		unregister_kprobes(set->probes, n);	/* waits for handlers */
}

/*
 * Puts a set, or none, in the place of the one there is. Thousands of probes take
 * seconds to set, and some are hit from then on all the time: those are let go
 * meanwhile.
 */
static void rules_install(struct rules_set *set)
{
	struct rules_set *old = rules_set;
	unsigned int i;

	mutex_lock(&rules_mutex);
	rules_unprobe(old);
	WRITE_ONCE(rules_set, set);
	rules_free(old);
	mutex_unlock(&rules_mutex);
	for (i = 0; set && i < set->funcs; i++) {
		mutex_lock(&rules_mutex);
		rules_probe(set->func[i]);
		mutex_unlock(&rules_mutex);
	}
}

static ssize_t rules_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	struct rules_set *set;
	char *text;

	if (*pos || count > RULES_TEXT)
		return -EINVAL;
	text = memdup_user_nul(from, count);
	if (IS_ERR(text))
		return PTR_ERR(text);
	set = rules_parse(text);
	kfree(text);
	if (IS_ERR(set))
		return PTR_ERR(set);
	mutex_lock(&rules_writing);
	rules_install(set);
	mutex_unlock(&rules_writing);
	return count;
}

static const struct file_operations rules_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = rules_write,
	.llseek = noop_llseek,
};

DEFINE_SHOW_ATTRIBUTE(rules_status);
DEFINE_SHOW_ATTRIBUTE(rules_contracts);

static int __init rules_init(void)
{
	rules_dir = debugfs_create_dir("plugstorm_rules", NULL);
	if (IS_ERR(rules_dir))
		return PTR_ERR(rules_dir);
	debugfs_create_file("rules", 0200, rules_dir, NULL, &rules_fops);
	debugfs_create_file("status", 0400, rules_dir, NULL, &rules_status_fops);
	debugfs_create_file("contracts", 0400, rules_dir, NULL, &rules_contracts_fops);
	return 0;
}

static void __exit rules_exit(void)
{
	debugfs_remove(rules_dir);
	rules_install(NULL);
	rules_spend_sync();
	rules_report_sync();
}

module_init(rules_init);
module_exit(rules_exit);

#endif

MODULE_DESCRIPTION("plugstorm: rules about locks, checked where functions are entered");
MODULE_LICENSE("GPL");
