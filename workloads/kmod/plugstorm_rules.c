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
 *   func NAME symbol=S state=ok|unavailable:ERRNO hits=N off=N self=N missed=N widen=USEC
 *   rule INDEX FUNC state=ok|unavailable hits=N violations=N : TERM...
 *
 * hits counts calls, off those while lockdep was off, self those of a task that
 * had switched lockdep off for itself (neither is checked), missed those that
 * the kprobe could not see (kprobe.nmissed). NAME is FUNC or FUNC[bus=...].
 *
 * contracts (read): "plugstorm_rules 1", then for each function
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
 * lockdep_is_held() is of no use here: on x86 an int3 kprobe runs between
 * nmi_enter() and nmi_exit(), with lockdep off, where it answers "unknown",
 * which is true (kernel/locking/lockdep.c lock_is_held_type). So the probe
 * reads current->held_locks, which nobody changes while current is interrupted.
 * Locks are known by name, which needs no symbol that isn't exported.
 *
 * The probe prints nothing: it may be in NMI-like context. It fills a record
 * and raises an irq_work, which is made for that (kernel/irq_work.c) and runs
 * as soon as the CPU takes interrupts again.
 */

#define pr_fmt(fmt) fmt

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/debug_locks.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/irq_work.h>
#include <linux/jhash.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/utsname.h>
#include <linux/version.h>

/* powerpc of 6.1 lacks the API; its ABI passes the first argument in r3. */
#ifdef CONFIG_HAVE_FUNCTION_ARG_ACCESS_API
#define rules_first_argument(regs) regs_get_kernel_argument(regs, 0)
#elif defined(CONFIG_PPC64)
#define rules_first_argument(regs) ((regs)->gpr[3])
#endif

#if !defined(CONFIG_LOCKDEP) || !defined(CONFIG_KPROBES) || !defined(CONFIG_STACKTRACE) || \
	!defined(rules_first_argument)

/* The module builds everywhere and says by its error that it can't check. */
static int __init rules_init(void)
{
	pr_info("plugstorm_rules: this kernel has no lockdep, kprobes or stack traces\n");
	return -EOPNOTSUPP;
}

module_init(rules_init);

#else

#define RULES_FUNCS	160	/* watched functions */
#define RULES_RULES	256
#define RULES_TERMS	8	/* of a rule */
#define RULES_ALTS	4	/* of a term */
#define RULES_NAME	64	/* of anything, NUL included */
#define RULES_LOCKS	32	/* different locks counted per function */
#define RULES_BUSES	2
#define RULES_TEXT	(64 << 10)
#define RULES_DELAY	10000	/* us: interrupts are off meanwhile */
#define RULES_DEPTH	24	/* frames kept of a stack */
#define RULES_RECORDS	16	/* violations waiting to be printed */
#define RULES_PATHS	256	/* different violations remembered */
#define RULES_OUTER	64	/* tasks in a violation */
#define RULES_PER_RULE	6	/* reports of one rule, call paths told apart */
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
	int error;			/* of register_kprobe; 0: it is watched */
	unsigned int widen;		/* us */
	atomic64_t hits, off, self, lost;
	struct rules_seen seen[RULES_LOCKS];
};

/* All that was written to "rules". */
struct rules_set {
	unsigned int funcs, rules;
	struct rules_func *func[RULES_FUNCS];
	struct rules_rule *rule[RULES_RULES];
};

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
	unsigned long frame[RULES_DEPTH];
};

static DEFINE_MUTEX(rules_mutex);	/* rules_set, and writes */
static struct rules_set *rules_set;
static struct dentry *rules_dir;
static struct rules_record rules_records[RULES_RECORDS];
static atomic_t rules_paths[RULES_PATHS];
static atomic64_t rules_printed, rules_unprinted, rules_nested;

/* The outermost violation that a task is in, see rules_inside(). */
static struct rules_outer {
	atomic_t busy;
	const struct task_struct *task;
	u32 what;
	unsigned long ret;
} rules_outer[RULES_OUTER];

/* ---- printing ---- */

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

/* ---- what the probe does; all of it may be in NMI-like context ---- */

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

#ifdef CONFIG_PPC64
/*
 * The function hasn't made a frame yet: r1 is its caller's, and lr says where
 * in it. Who called that stands in the frame before (arch/powerpc/kernel/stacktrace.c
 * arch_stack_walk, whose way from here would lead through the trap).
 */
static __no_sanitize_address unsigned int rules_stack(struct pt_regs *regs, unsigned long *frame)
{
	unsigned long low = (unsigned long)task_stack_page(current), sp = regs->gpr[1];
	unsigned int n = 0;

	frame[n++] = regs->nip;
	frame[n++] = regs->link;
	while (n < RULES_DEPTH && sp >= low && sp <= low + THREAD_SIZE - STACK_FRAME_MIN_SIZE && !(sp & 7)) {
		unsigned long next = *(unsigned long *)sp;

		if (next <= sp || next > low + THREAD_SIZE - STACK_FRAME_MIN_SIZE)
			break;
		sp = next;
		frame[n++] = ((unsigned long *)sp)[STACK_FRAME_LR_SAVE];
	}
	return n;
}
#else
/*
 * The function hasn't made a frame yet, so an unwinder that goes by frame
 * pointers leaves its caller out: that one is put in from the stack.
 */
static __no_sanitize_address unsigned int rules_stack(struct pt_regs *regs, unsigned long *frame)
{
	unsigned long all[RULES_DEPTH + 8], ret = *(unsigned long *)kernel_stack_pointer(regs);
	unsigned int len = stack_trace_save(all, ARRAY_SIZE(all), 0), at, n = 0;

	for (at = 0; at < len && all[at] != instruction_pointer(regs); at++)
		;
	at = at < len ? at + 1 : 0;	/* not found: all of it, trap and all */
	frame[n++] = instruction_pointer(regs);
	frame[n++] = ret;
	if (at < len && all[at] == ret)
		at++;
	while (at < len && n < RULES_DEPTH)
		frame[n++] = all[at++];
	return n;
}
#endif

static enum rules_mode rules_mode_of(const struct held_lock *hlock)
{
	return hlock->read ? HELD_READ : HELD_WRITE;
}

/* The name of a held lock; "" if it has none, which is a name no rule has. */
static const char *rules_lock_name(const struct held_lock *hlock)
{
	return hlock->instance && hlock->instance->name ? hlock->instance->name : "";
}

static enum rules_mode rules_held(const char *lock)
{
	int i, depth = min_t(int, READ_ONCE(current->lockdep_depth), MAX_LOCK_DEPTH);
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
	int i, j, depth = min_t(int, READ_ONCE(current->lockdep_depth), MAX_LOCK_DEPTH);

	for (i = 0; i < depth; i++) {
		const char *name = rules_lock_name(&current->held_locks[i]);

		for (j = 0; j < i; j++)
			if (!strcmp(rules_lock_name(&current->held_locks[j]), name))
				break;
		if (j == i && *name)
			rules_count(f, name, rules_held(name));
	}
}

static void rules_note_locks(struct rules_record *rec)
{
	int i, depth = min_t(int, READ_ONCE(current->lockdep_depth), MAX_LOCK_DEPTH);

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

static void rules_report(struct pt_regs *regs, struct rules_rule *rule, unsigned int term, enum rules_mode held)
{
	unsigned long frame[RULES_DEPTH];
	unsigned int frames = rules_stack(regs, frame);
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
	dev = (struct device *)rules_first_argument(regs);
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

static int rules_hit(struct kprobe *p, struct pt_regs *regs)
{
	struct rules_func *f = container_of(p, struct rules_func, probe);
	const struct rules_set *set = READ_ONCE(rules_set);
	unsigned int i;

	if (!rules_concerned(f, regs))
		return 0;
	atomic64_inc(&f->hits);
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

/*
 * A probe with a post handler is never jump-optimised (kernel/kprobes.c
 * optimize_kprobe): every hit comes the same way, in the same context.
 */
static void rules_after(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

/* ---- rules in, from text ---- */

static void rules_free(struct rules_set *set)
{
	unsigned int i;

	if (!set)
		return;
	for (i = 0; i < set->funcs; i++)
		kvfree(set->func[i]);
	for (i = 0; i < set->rules; i++)
		kvfree(set->rule[i]);
	kvfree(set);
}

static bool rules_name_ok(const char *s)
{
	return *s && strlen(s) < RULES_NAME;
}

/* Reads NAME[,NAME] into f. */
static int rules_buses(struct rules_func *f, char *list)
{
	char *bus;

	while ((bus = strsep(&list, ","))) {
		if (!rules_name_ok(bus) || f->buses == RULES_BUSES)
			return -EINVAL;
		strscpy(f->bus[f->buses++], bus, RULES_NAME);
	}
	return 0;
}

/* Finds or makes the function that "FUNC [bus=...]" names. */
static struct rules_func *rules_find(struct rules_set *set, char *head)
{
	char *symbol = strsep(&head, " "), *bus = head ? strim(head) : "";
	char name[RULES_NAME];
	struct rules_func *f;
	unsigned int i;

	if (!rules_name_ok(symbol) ||
	    snprintf(name, sizeof(name), *bus ? "%s[%s]" : "%s", symbol, bus) >= sizeof(name))
		return ERR_PTR(-EINVAL);
	for (i = 0; i < set->funcs; i++)
		if (!strcmp(set->func[i]->name, name))
			return set->func[i];
	if (set->funcs == RULES_FUNCS)
		return ERR_PTR(-E2BIG);
	f = kvzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return ERR_PTR(-ENOMEM);
	set->func[set->funcs++] = f;
	strscpy(f->name, name, sizeof(f->name));
	strscpy(f->symbol, symbol, sizeof(f->symbol));
	if (*bus && (strncmp(bus, "bus=", 4) || rules_buses(f, bus + 4)))
		return ERR_PTR(-EINVAL);
	return f;
}

/* Reads "LOCK(w)", "LOCK(r)", or "LOCK" where that is allowed. */
static int rules_parse_alt(struct rules_alt *alt, char *s, bool bare)
{
	size_t len = strlen(s);

	alt->mode = HELD_READ;
	if (len > 3 && (!strcmp(s + len - 3, "(w)") || !strcmp(s + len - 3, "(r)"))) {
		if (s[len - 2] == 'w')
			alt->mode = HELD_WRITE;
		s[len - 3] = 0;
	} else if (!bare) {
		return -EINVAL;
	}
	if (!rules_name_ok(s))
		return -EINVAL;
	strscpy(alt->lock, s, sizeof(alt->lock));
	return 0;
}

static int rules_parse_term(struct rules_term *t, char *s)
{
	char *alt;
	int err;

	t->forbid = *s == '!';
	s += t->forbid;
	while ((alt = strsep(&s, "|"))) {
		if (t->alts == RULES_ALTS || (t->forbid && t->alts))
			return -EINVAL;
		err = rules_parse_alt(&t->alt[t->alts++], alt, t->forbid);
		if (err)
			return err;
	}
	return 0;
}

static int rules_parse_rule(struct rules_set *set, char *head, char *terms)
{
	struct rules_func *f = rules_find(set, strim(head));
	struct rules_rule *rule;
	char *term;
	int err = 0;

	if (IS_ERR(f))
		return PTR_ERR(f);
	if (set->rules == RULES_RULES)
		return -E2BIG;
	rule = kvzalloc(sizeof(*rule), GFP_KERNEL);
	if (!rule)
		return -ENOMEM;
	set->rule[set->rules++] = rule;
	rule->func = f;
	terms = strim(terms);
	if (strscpy(rule->text, terms, sizeof(rule->text)) < 0)
		return -EINVAL;
	while (!err && (term = strsep(&terms, " "))) {
		if (!*term)
			continue;
		err = rule->terms == RULES_TERMS ? -EINVAL : rules_parse_term(&rule->term[rule->terms++], term);
	}
	return rule->terms ? err : -EINVAL;
}

static int rules_parse_widen(struct rules_set *set, char *s)
{
	struct rules_func *f = rules_find(set, strsep(&s, " "));
	unsigned int us;

	if (IS_ERR(f))
		return PTR_ERR(f);
	if (!s || kstrtouint(strim(s), 10, &us) || us > RULES_DELAY)
		return -EINVAL;
	f->widen = us;
	return 0;
}

static int rules_parse_line(struct rules_set *set, char *line)
{
	char *comment = *line == '#' ? line : strstr(line, " #"), *colon;

	if (comment)
		*comment = 0;
	line = strim(line);
	if (!*line)
		return 0;
	if (!strncmp(line, "widen ", 6))
		return rules_parse_widen(set, strim(line + 6));
	if (!strncmp(line, "watch ", 6))
		return PTR_ERR_OR_ZERO(rules_find(set, strim(line + 6)));
	colon = strchr(line, ':');
	if (!colon)
		return -EINVAL;
	*colon = 0;
	return rules_parse_rule(set, line, colon + 1);
}

static struct rules_set *rules_parse(char *text)
{
	struct rules_set *set = kvzalloc(sizeof(*set), GFP_KERNEL);
	unsigned int number = 0;
	char *line;
	int err = 0;

	if (!set)
		return ERR_PTR(-ENOMEM);
	while (!err && (line = strsep(&text, "\n"))) {
		number++;
		err = rules_parse_line(set, line);
	}
	if (!err)
		return set;
	pr_err("plugstorm_rules: line %u: error %d\n", number, err);
	rules_free(set);
	return ERR_PTR(err);
}

/* ---- probes ---- */

/*
 * What the compiler appends to a function that it has changed for its callers.
 * Not .part and .cold, which are pieces of a function.
 */
static const char * const rules_suffixes[] = {
	"", ".isra.0", ".constprop.0", ".constprop.1", ".isra.1", ".constprop.0.isra.0", ".isra.0.constprop.0",
};

static void rules_probe(struct rules_func *f)
{
	char base[RULES_NAME];
	unsigned int i;

	strscpy(base, f->symbol, sizeof(base));
	for (i = 0; i < ARRAY_SIZE(rules_suffixes); i++) {
		snprintf(f->symbol, sizeof(f->symbol), "%s%s", base, rules_suffixes[i]);
		memset(&f->probe, 0, sizeof(f->probe));
		f->probe.symbol_name = f->symbol;
		f->probe.pre_handler = rules_hit;
		f->probe.post_handler = rules_after;
		f->error = register_kprobe(&f->probe);
		if (f->error != -ENOENT)
			return;
	}
	strscpy(f->symbol, base, sizeof(f->symbol));
}

static void rules_unprobe(struct rules_set *set)
{
	struct kprobe *probes[RULES_FUNCS];
	unsigned int i, n = 0;

	for (i = 0; set && i < set->funcs; i++)
		if (!set->func[i]->error)
			probes[n++] = &set->func[i]->probe;
	if (n)
		unregister_kprobes(probes, n);	/* waits for handlers */
}

/* Puts a set, or none, in the place of the one there is. */
static void rules_install(struct rules_set *set)
{
	struct rules_set *old = rules_set;
	unsigned int i;

	rules_unprobe(old);
	WRITE_ONCE(rules_set, set);
	rules_free(old);
	for (i = 0; set && i < set->funcs; i++)
		rules_probe(set->func[i]);
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
	mutex_lock(&rules_mutex);
	rules_install(set);
	mutex_unlock(&rules_mutex);
	return count;
}

static const struct file_operations rules_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = rules_write,
	.llseek = noop_llseek,
};

/* ---- tables out ---- */

static void rules_show_func(struct seq_file *m, const struct rules_func *f)
{
	seq_printf(m, "func %s symbol=%s state=", f->name, f->symbol);
	if (f->error)
		seq_printf(m, "unavailable:%d", -f->error);
	else
		seq_puts(m, "ok");
	seq_printf(m, " hits=%lld off=%lld self=%lld missed=%lu widen=%u\n", atomic64_read(&f->hits),
		   atomic64_read(&f->off), atomic64_read(&f->self), f->probe.nmissed, f->widen);
}

static int status_show(struct seq_file *m, void *unused)
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
DEFINE_SHOW_ATTRIBUTE(status);

static int contracts_show(struct seq_file *m, void *unused)
{
	const struct rules_set *set;
	unsigned int i, j;

	mutex_lock(&rules_mutex);
	set = rules_set;
	seq_puts(m, "plugstorm_rules 1\n");
	for (i = 0; set && i < set->funcs; i++) {
		const struct rules_func *f = set->func[i];

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
DEFINE_SHOW_ATTRIBUTE(contracts);

static int __init rules_init(void)
{
	rules_dir = debugfs_create_dir("plugstorm_rules", NULL);
	if (IS_ERR(rules_dir))
		return PTR_ERR(rules_dir);
	debugfs_create_file("rules", 0200, rules_dir, NULL, &rules_fops);
	debugfs_create_file("status", 0400, rules_dir, NULL, &status_fops);
	debugfs_create_file("contracts", 0400, rules_dir, NULL, &contracts_fops);
	return 0;
}

static void __exit rules_exit(void)
{
	debugfs_remove(rules_dir);
	rules_install(NULL);
	irq_work_sync(&rules_work);
}

module_init(rules_init);
module_exit(rules_exit);

#endif

MODULE_DESCRIPTION("plugstorm: rules about locks, checked where functions are entered");
MODULE_LICENSE("GPL");
