/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of this module share. main.c says what the module is for. */

#ifndef PLUGSTORM_RULES_H
#define PLUGSTORM_RULES_H

#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/types.h>

#include "../plugstorm_probe.h"

#if defined(CONFIG_LOCKDEP) && defined(PS_PROBES)

#define RULES_POSSIBLE

#define RULES_FUNCS	160	/* watched functions */
#define RULES_COUNTS	4096	/* functions of which only calls are counted */
#define RULES_RULES	256
#define RULES_TERMS	8	/* of a rule */
#define RULES_ALTS	4	/* of a term */
#define RULES_NAME	64	/* of anything, NUL included */
#define RULES_LOCKS	32	/* different locks counted per function */
#define RULES_BUSES	2
#define RULES_TEXT	(256 << 10)
#define RULES_DELAY	10000	/* us: interrupts are off meanwhile */
#define RULES_LINE	256

enum rules_mode { HELD_NOT, HELD_READ, HELD_WRITE };

struct rules_alt {
	char lock[RULES_NAME];
	enum rules_mode mode;
};

struct rules_term {
	bool forbid;
	unsigned int alts;
	struct rules_alt alt[RULES_ALTS];
};

struct rules_func;

struct rules_rule {
	struct rules_func *func;
	char text[RULES_LINE];		/* its terms */
	unsigned int terms;
	struct rules_term term[RULES_TERMS];
	atomic64_t checked, violations;
	atomic_t reported;
};

/* A lock seen at a function. */
struct rules_seen {
	atomic_t state;			/* 0 free, 1 being filled, 2 filled */
	char lock[RULES_NAME];
	atomic64_t write, read;
};

struct rules_func {
	struct kprobe probe;
	char name[RULES_NAME];
	char symbol[RULES_NAME];	/* with the suffix that the compiler gave it */
	unsigned int buses;
	char bus[RULES_BUSES][RULES_NAME];
	int error;			/* of register_kprobe, EINPROGRESS before; 0: it is watched */
	unsigned int widen;		/* us */
	unsigned int upto;		/* calls after which it is let go; 0: never */
	bool spent;			/* it was; under rules_mutex */
	atomic64_t hits, off, self, lost;
	struct rules_seen seen[];	/* RULES_LOCKS; none if upto */
};

/* All that was written to the file rules. */
struct rules_set {
	unsigned int funcs, counts, rules;	/* counts: how many of funcs have upto */
	struct rules_func *func[RULES_FUNCS + RULES_COUNTS];
	struct kprobe *probes[RULES_FUNCS + RULES_COUNTS];	/* room to let go of all */
	struct rules_rule *rule[RULES_RULES];
};

/* main.c */
extern struct mutex rules_mutex;	/* rules_set, and its functions' probes */
extern struct rules_set *rules_set;

/* parse.c: a set of rules, or an error, from text that is changed */
struct rules_set *rules_parse(char *text);
void rules_free(struct rules_set *set);

/* check.c: the probe's pre-handler, and how a held lock is known */
int rules_hit(struct kprobe *p, struct pt_regs *regs);
const char *rules_lock_name(const struct held_lock *hlock);
enum rules_mode rules_mode_of(const struct held_lock *hlock);

/* report.c: tells of a rule's term that is not kept; held: how its lock is */
extern atomic64_t rules_printed, rules_unprinted, rules_nested;
void rules_report(struct pt_regs *regs, struct rules_rule *rule, unsigned int term, enum rules_mode held);
void rules_report_sync(void);	/* waits until what was told is printed */

/* spent.c: has functions that were called as often as asked for let go, soon; and waits for that */
void rules_spend(void);
void rules_spend_sync(void);

/* show.c: what the files status and contracts say */
int rules_status_show(struct seq_file *m, void *unused);
int rules_contracts_show(struct seq_file *m, void *unused);

#endif /* LOCKDEP */

#endif /* PLUGSTORM_RULES_H */
