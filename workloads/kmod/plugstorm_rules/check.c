// SPDX-License-Identifier: GPL-2.0-only
/* What the probe does: it holds what current has against the rules of a function. */

#include <linux/cpumask.h>
#include <linux/debug_locks.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/preempt.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "rules.h"

#ifdef RULES_POSSIBLE

enum rules_mode rules_mode_of(const struct held_lock *hlock)
{
	return hlock->read ? HELD_READ : HELD_WRITE;
}

/* The name of a held lock; "" if it has none, which is a name no rule has. */
const char *rules_lock_name(const struct held_lock *hlock)
{
	return hlock->instance && hlock->instance->name ? hlock->instance->name : "";
}

static enum rules_mode rules_held(const char *lock)
{
	int i, depth = ps_depth();
	enum rules_mode mode = HELD_NOT;

	for (i = 0; i < depth; i++) {
		const struct held_lock *hlock = &current->held_locks[i];

		if (!strncmp(rules_lock_name(hlock), lock, RULES_NAME - 1))
			mode = max(mode, rules_mode_of(hlock));
	}
	return mode;
}

/* Counts what current holds, each name once, in its strongest mode. */
static void rules_count(struct rules_func *f, const char *name, enum rules_mode mode)
{
	unsigned int i;

	for (i = 0; i < RULES_LOCKS; i++) {
		struct rules_seen *s = &f->seen[i];

		if (atomic_read(&s->state) == 0 && atomic_cmpxchg(&s->state, 0, 1) == 0) {
			strscpy(s->lock, name, sizeof(s->lock));
			atomic_set_release(&s->state, 2);
		}
		while (atomic_read_acquire(&s->state) != 2)
			cpu_relax();	/* for a strscpy() on another CPU */
		if (strncmp(s->lock, name, RULES_NAME - 1))
			continue;
		atomic64_inc(mode == HELD_WRITE ? &s->write : &s->read);
		return;
	}
	atomic64_inc(&f->lost);
}

static void rules_count_all(struct rules_func *f)
{
	int i, j, depth = ps_depth();

	for (i = 0; i < depth; i++) {
		const char *name = rules_lock_name(&current->held_locks[i]);

		for (j = 0; j < i; j++)
			if (!strcmp(rules_lock_name(&current->held_locks[j]), name))
				break;
		if (j == i && *name)
			rules_count(f, name, rules_held(name));
	}
}

/* Returns whether a term is kept; *held says how its lock was held. */
static bool rules_kept(const struct rules_term *t, enum rules_mode *held)
{
	unsigned int i;

	*held = HELD_NOT;
	for (i = 0; i < t->alts; i++) {
		enum rules_mode mode = rules_held(t->alt[i].lock);

		*held = max(*held, mode);
		if (mode >= t->alt[i].mode)
			return !t->forbid;
	}
	return t->forbid;
}

static void rules_check(struct pt_regs *regs, struct rules_rule *rule)
{
	unsigned int i;
	enum rules_mode held;

	atomic64_inc(&rule->checked);
	for (i = 0; i < rule->terms; i++)
		if (!rules_kept(&rule->term[i], &held))
			rules_report(regs, rule, i, held);
}

/*
 * Whether the task itself has switched lockdep off (lockdep_off()), so that
 * its held_locks are incomplete. NMI-like entries do that as well, each once
 * (arch nmi_enter(), kernel/entry/common.c irqentry_nmi_enter), and count
 * themselves in preempt_count.
 */
static bool rules_task_off(void)
{
#ifdef LOCKDEP_OFF
	unsigned int nmi = (preempt_count() & NMI_MASK) >> NMI_SHIFT;

	return current->lockdep_recursion / LOCKDEP_OFF > nmi;
#else
	return false;
#endif
}

static bool rules_concerned(const struct rules_func *f, struct pt_regs *regs)
{
	struct device *dev;
	unsigned int i;

	if (!f->buses)
		return true;
	dev = (struct device *)ps_argument(regs, 0);
	if (IS_ERR_OR_NULL(dev) || !dev->bus || !dev->bus->name)
		return false;
	for (i = 0; i < f->buses; i++)
		if (!strcmp(f->bus[i], dev->bus->name))
			return true;
	return false;
}

/* In pieces, since one udelay() must stay below some ms (asm/delay.h). */
static void rules_delay(unsigned int us)
{
	for (; us > 500; us -= 500)
		udelay(500);
	udelay(us);
}

int rules_hit(struct kprobe *p, struct pt_regs *regs)
{
	struct rules_func *f = container_of(p, struct rules_func, probe);
	const struct rules_set *set = READ_ONCE(rules_set);
	unsigned int i;
	s64 hits;

	if (!rules_concerned(f, regs))
		return 0;
	hits = atomic64_inc_return(&f->hits);
	if (f->upto) {
		/* A CPU on its way up takes no interrupt yet. */
		if (hits >= f->upto && cpu_online(raw_smp_processor_id()))
			rules_spend();
		return 0;
	}
	if (!debug_locks) {
		atomic64_inc(&f->off);
	} else if (rules_task_off()) {
		atomic64_inc(&f->self);
	} else {
		rules_count_all(f);
		for (i = 0; set && i < set->rules; i++)
			if (set->rule[i]->func == f)
				rules_check(regs, set->rule[i]);
	}
	if (f->widen)
		rules_delay(f->widen);
	return 0;
}

#endif
