// SPDX-License-Identifier: GPL-2.0-only
/* Tables out: the files status and contracts. */

#include <linux/debug_locks.h>
#include <linux/seq_file.h>

#include "rules.h"

#ifdef RULES_POSSIBLE

static void rules_show_func(struct seq_file *m, const struct rules_func *f)
{
	seq_printf(m, "func %s symbol=%s state=", f->name, f->symbol);
	if (f->error)
		seq_printf(m, "unavailable:%d", -f->error);
	else
		seq_puts(m, f->spent ? "spent" : "ok");
	seq_printf(m, " hits=%lld off=%lld self=%lld missed=%lu widen=%u\n", atomic64_read(&f->hits),
		   atomic64_read(&f->off), atomic64_read(&f->self), f->probe.nmissed, f->widen);
}

int rules_status_show(struct seq_file *m, void *unused)
{
	const struct rules_set *set;
	unsigned int i;

	mutex_lock(&rules_mutex);
	set = rules_set;
	seq_printf(m, "plugstorm_rules 1\ndebug_locks %d\n", READ_ONCE(debug_locks));
	seq_printf(m, "reports printed=%lld unprinted=%lld nested=%lld\n", atomic64_read(&rules_printed),
		   atomic64_read(&rules_unprinted), atomic64_read(&rules_nested));
	for (i = 0; set && i < set->funcs; i++)
		rules_show_func(m, set->func[i]);
	for (i = 0; set && i < set->rules; i++) {
		const struct rules_rule *rule = set->rule[i];

		seq_printf(m, "rule %u %s state=%s hits=%lld violations=%lld : %s\n", i, rule->func->name,
			   rule->func->error ? "unavailable" : "ok", atomic64_read(&rule->checked),
			   atomic64_read(&rule->violations), rule->text);
	}
	mutex_unlock(&rules_mutex);
	return 0;
}

int rules_contracts_show(struct seq_file *m, void *unused)
{
	const struct rules_set *set;
	unsigned int i, j;

	mutex_lock(&rules_mutex);
	set = rules_set;
	seq_puts(m, "plugstorm_rules 1\n");
	for (i = 0; set && i < set->funcs; i++) {
		const struct rules_func *f = set->func[i];

		if (f->upto)
			continue;
		seq_printf(m, "func %s checked=%lld lost=%lld\n", f->name,
			   atomic64_read(&f->hits) - atomic64_read(&f->off) - atomic64_read(&f->self),
			   atomic64_read(&f->lost));
		for (j = 0; j < RULES_LOCKS && atomic_read_acquire(&f->seen[j].state) == 2; j++) {
			seq_printf(m, "lock w=%lld r=%lld ", atomic64_read(&f->seen[j].write),
				   atomic64_read(&f->seen[j].read));
			seq_escape(m, f->seen[j].lock, "\n\t\r\\");
			seq_putc(m, '\n');
		}
	}
	mutex_unlock(&rules_mutex);
	return 0;
}

#endif
