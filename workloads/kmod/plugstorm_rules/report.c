// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a violation gets to the console. The probe prints nothing: it may be in
 * NMI-like context. It fills a record and raises an irq_work, which is made for
 * that (kernel/irq_work.c) and runs as soon as the CPU takes interrupts again.
 */

#include <linux/irq_work.h>
#include <linux/jhash.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/utsname.h>

#include "rules.h"

#ifdef RULES_POSSIBLE

#define RULES_RECORDS	16	/* violations waiting to be printed */
#define RULES_PATHS	256	/* different violations remembered */
#define RULES_OUTER	64	/* tasks in a violation */
#define RULES_PER_RULE	6	/* reports of one rule, call paths told apart */

/* A lock of a violating task. */
struct rules_held {
	char lock[RULES_NAME];
	enum rules_mode mode;
	void *instance;
	unsigned long ip;
	u8 outer, inner;
};

/* A violation on its way to the console. */
struct rules_record {
	atomic_t state;			/* 0 free, 1 being filled, 2 filled */
	char what[2 * RULES_LINE];
	char rule[RULES_LINE];
	char comm[TASK_COMM_LEN];
	int pid, cpu;
	unsigned int locks, frames;
	struct rules_held held[MAX_LOCK_DEPTH];
	unsigned long frame[PS_DEPTH];
};

static struct rules_record rules_records[RULES_RECORDS];
static atomic_t rules_paths[RULES_PATHS];
atomic64_t rules_printed, rules_unprinted, rules_nested;

/* The outermost violation that a task is in, see rules_inside(). */
static struct rules_outer {
	atomic_t busy;
	const struct task_struct *task;
	u32 what;
	unsigned long ret;
} rules_outer[RULES_OUTER];

static const char * const rules_modes[] = {
	[HELD_NOT] = "not held", [HELD_READ] = "READ", [HELD_WRITE] = "WRITE",
};

static void rules_print_locks(const struct rules_record *rec)
{
	unsigned int i;

	if (!rec->locks) {
		printk(KERN_WARNING "no locks held by %s/%d.\n", rec->comm, rec->pid);
		return;
	}
	printk(KERN_WARNING "%u lock%s held by %s/%d:\n", rec->locks, rec->locks == 1 ? "" : "s", rec->comm, rec->pid);
	for (i = 0; i < rec->locks; i++) {
		const struct rules_held *h = &rec->held[i];

		/* As lockdep prints them (print_lock); the usage isn't ours to know. */
		printk(KERN_WARNING " #%u: %px (%s){....}-{%u:%u}, at: %pS\n", i, h->instance, h->lock,
		       h->outer ?: h->inner, h->inner, (void *)h->ip);
	}
}

static void rules_print(const struct rules_record *rec)
{
	unsigned int i;

	printk(KERN_WARNING "LOCKRULE: %s\n", rec->what);
	printk(KERN_WARNING "CPU: %d PID: %d Comm: %s Tainted: G           O       %s\n", rec->cpu, rec->pid, rec->comm,
	       init_utsname()->release);
	printk(KERN_WARNING "rule: %s\n", rec->rule);
	rules_print_locks(rec);
	printk(KERN_WARNING "Call Trace:\n");
	printk(KERN_WARNING " <TASK>\n");
	for (i = 0; i < rec->frames; i++)
		printk(KERN_WARNING " %pS\n", (void *)rec->frame[i]);
	printk(KERN_WARNING " </TASK>\n");
}

static void rules_print_all(struct irq_work *unused)
{
	unsigned int i;

	for (i = 0; i < RULES_RECORDS; i++) {
		struct rules_record *rec = &rules_records[i];

		/* 3: it is being printed, perhaps by this function on another CPU. */
		if (atomic_cmpxchg_acquire(&rec->state, 2, 3) != 2)
			continue;
		rules_print(rec);
		atomic64_inc(&rules_printed);
		atomic_set_release(&rec->state, 0);
	}
}

static DEFINE_IRQ_WORK(rules_work, rules_print_all);

/* ---- what follows may be in NMI-like context ---- */

/* True for the first violation with this hash; false too if there is no room. */
static bool rules_first(u32 hash)
{
	unsigned int i;

	hash = hash ?: 1;
	for (i = 0; i < RULES_PATHS; i++) {
		int old = atomic_cmpxchg(&rules_paths[i], 0, hash);

		if (!old)
			return true;
		if (old == (int)hash)
			return false;
	}
	atomic64_inc(&rules_unprinted);
	return false;
}

static struct rules_record *rules_claim(void)
{
	unsigned int i;

	for (i = 0; i < RULES_RECORDS; i++)
		if (atomic_cmpxchg(&rules_records[i].state, 0, 1) == 0)
			return &rules_records[i];
	return NULL;
}

static void rules_note_locks(struct rules_record *rec)
{
	int i, depth = ps_depth();

	for (i = 0; i < depth; i++) {
		const struct held_lock *hlock = &current->held_locks[i];
		struct rules_held *h = &rec->held[i];

		strscpy(h->lock, rules_lock_name(hlock), sizeof(h->lock));
		h->mode = rules_mode_of(hlock);
		h->instance = hlock->instance;
		h->ip = hlock->acquire_ip;
		h->outer = hlock->instance ? hlock->instance->wait_type_outer : 0;
		h->inner = hlock->instance ? hlock->instance->wait_type_inner : 0;
	}
	rec->locks = max(depth, 0);
}

/* Says what is wrong with a term that is violated, without numbers. */
static void rules_say(char *buf, size_t size, const struct rules_rule *rule, const struct rules_term *t,
		      enum rules_mode held)
{
	size_t n = scnprintf(buf, size, "%s: ", rule->func->name);
	unsigned int i;

	if (t->forbid) {
		scnprintf(buf + n, size - n, "%s forbidden, held %s", t->alt[0].lock, rules_modes[held]);
		return;
	}
	for (i = 0; i < t->alts; i++)
		n += scnprintf(buf + n, size - n, "%s%s required %s", i ? " or " : "", t->alt[i].lock,
			       rules_modes[t->alt[i].mode]);
	scnprintf(buf + n, size - n, held == HELD_READ ? ", held READ" : ", not held");
}

/*
 * A lock that a function's caller lacks is lacking in all that the function
 * calls. Returns whether this violation is inside another one of its task,
 * about the same lock: then that one's return address stands in the stack. If
 * not, this is the outermost.
 */
static bool rules_inside(const struct rules_term *t, const unsigned long *frame, unsigned int frames)
{
	u32 what = jhash(t->alt[0].lock, strlen(t->alt[0].lock), t->forbid);
	struct rules_outer *o = &rules_outer[jhash_2words((u32)(long)current, what, 0) % RULES_OUTER];
	bool inside = false;
	unsigned int i;

	if (atomic_cmpxchg_acquire(&o->busy, 0, 1))
		return false;	/* another CPU is here; it never waits */
	if (o->task == current && o->what == what)
		for (i = 2; i < frames; i++)
			inside |= frame[i] == o->ret;
	if (!inside) {
		o->task = current;
		o->what = what;
		o->ret = frame[1];
	}
	atomic_set_release(&o->busy, 0);
	return inside;
}

void rules_report(struct pt_regs *regs, struct rules_rule *rule, unsigned int term, enum rules_mode held)
{
	unsigned long frame[PS_DEPTH];
	unsigned int frames = ps_stack(regs, frame, PS_DEPTH);
	struct rules_record *rec;
	u32 hash;

	atomic64_inc(&rule->violations);
	if (rules_inside(&rule->term[term], frame, frames)) {
		atomic64_inc(&rules_nested);
		return;
	}
	hash = jhash2((u32 *)frame, frames * sizeof(*frame) / sizeof(u32), jhash_3words(term, held, (u32)(long)rule, 0));
	if (!rules_first(hash))
		return;
	rec = atomic_inc_return(&rule->reported) <= RULES_PER_RULE ? rules_claim() : NULL;
	if (!rec) {
		atomic64_inc(&rules_unprinted);
		return;
	}
	rules_say(rec->what, sizeof(rec->what), rule, &rule->term[term], held);
	scnprintf(rec->rule, sizeof(rec->rule), "%s: %s", rule->func->name, rule->text);
	strscpy(rec->comm, current->comm, sizeof(rec->comm));
	rec->pid = task_pid_nr(current);
	rec->cpu = raw_smp_processor_id();
	rules_note_locks(rec);
	memcpy(rec->frame, frame, sizeof(frame));
	rec->frames = frames;
	atomic_set_release(&rec->state, 2);
	irq_work_queue(&rules_work);
}

void rules_report_sync(void)
{
	irq_work_sync(&rules_work);
}

#endif
