// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lets go of functions that were called as often as was asked for. A probe costs
 * as much as thousands of instructions, and who watches what a patch changes
 * doesn't know whether that is called a hundred thousand times a second.
 *
 * A probe can't be disarmed in its handler: that takes mutexes. The irq_work runs
 * as soon as the CPU takes interrupts again, so nobody holds a workqueue's
 * spinlocks then, whichever function it was.
 */

#include <linux/irq_work.h>
#include <linux/kprobes.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "rules.h"

#ifdef RULES_POSSIBLE

static void rules_let_go(struct work_struct *unused)
{
	unsigned int i;

	mutex_lock(&rules_mutex);
	for (i = 0; rules_set && i < rules_set->funcs; i++) {
		struct rules_func *f = rules_set->func[i];

		if (!f->error && !f->spent && f->upto && atomic64_read(&f->hits) >= f->upto)
			f->spent = !disable_kprobe(&f->probe);
	}
	mutex_unlock(&rules_mutex);
}

static DECLARE_WORK(rules_spent_work, rules_let_go);

static void rules_queue(struct irq_work *unused)
{
	schedule_work(&rules_spent_work);
}

static DEFINE_IRQ_WORK(rules_spent_irq, rules_queue);

void rules_spend(void)
{
	irq_work_queue(&rules_spent_irq);
}

void rules_spend_sync(void)
{
	irq_work_sync(&rules_spent_irq);
	cancel_work_sync(&rules_spent_work);
}

#endif
