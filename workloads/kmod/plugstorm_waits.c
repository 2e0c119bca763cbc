// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notes who waits for whom while holding which locks, and which locks those
 * take who are waited for, so that a deadlock can be told of before it happens.
 * lockdep sees locks only: not that kthread_stop() waits for a thread,
 * kthread_create() for kthreadd, flush_work() for a work that isn't queued right
 * now, or the removal of a sysfs attribute for one that isn't in use right now.
 * harness/waitgraph puts the parts together.
 *
 * WHO is one of
 *
 *   thread:COMM	a kernel thread, each row of digits in its name one '#'
 *   work:FUNC		a work item, by its function; of work_on_cpu() that of the caller
 *   kernfs:KEY		whoever is in an operation of a kernfs file of this class
 *
 * KEY is a lock class's, printed as /proc/lockdep prints it (%p of class->key).
 *
 * Interface, in debugfs below plugstorm_waits/, both read only:
 *
 * waits: "plugstorm_waits 1", then one line each:
 *
 *   debug_locks N			0: lockdep is off, nothing is noted any more
 *   lost takes=N waits=N works=N	what had no room
 *   probe FUNC state=ok missed=N | state=unavailable:ERRNO
 *   writer KEY held=HELD LOCK		a class that somebody has taken to write, and what
 *					was held every time
 *   take WHO key=KEY mode=r|w n=N inst=PTR many=0|1 at=FUNC|- held=HELD lock=LOCK
 *					WHO has taken a lock that can sleep, n times, not
 *					by a trylock; many: not always the same instance.
 *					FUNC: who called the lock's function, -: not always
 *					the same place. HELD: what it held every time. Only
 *					of WHOs that are waited for.
 *   wait KIND WHO n=N inst=PTR many=0|1 held=HELD name=NAME stack=FUNC<FUNC...
 *					KIND: stop, park, create, flush, cancel, remove;
 *					inst: of the kernfs file, whose NAME is given.
 *   HELD = KEY:MODE:INST,...  or -	MODE: r or w, and a t if it was got by a trylock;
 *					INST: 0 if not always the same
 *
 * order: "plugstorm_waits 1", then lockdep's graph, as far as both ends can sleep:
 *
 *   class INDEX KEY NAME		NAME as /proc/lockdep has it
 *   edge INDEX INDEX DEP		bit 0, 2: the first held to read, bit 1, 3: to write;
 *					bit 2, 3: the second is not taken as a recursive
 *					reader (kernel/locking/lockdep.c calc_dep)
 *
 * Nothing here takes a lock: the tracepoint is in lock_acquire(), and an int3
 * kprobe is in NMI-like context. Held locks are read from current->held_locks,
 * which nobody changes meanwhile; lock_is_held() would answer "unknown".
 */

#define pr_fmt(fmt) fmt

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/ctype.h>
#include <linux/debug_locks.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/jhash.h>
#include <linux/kernel.h>
#include <linux/kernfs.h>
#include <linux/kprobes.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/ptrace.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/seq_file.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

/* powerpc of 6.1 lacks the API; its ABI passes the arguments from r3 on. */
#ifdef CONFIG_HAVE_FUNCTION_ARG_ACCESS_API
#define waits_argument(regs, n) regs_get_kernel_argument(regs, n)
#elif defined(CONFIG_PPC64)
#define waits_argument(regs, n) ((regs)->gpr[3 + (n)])
#endif

#if !defined(CONFIG_PROVE_LOCKING) || !defined(CONFIG_KPROBES) || !defined(CONFIG_STACKTRACE) || \
	!defined(CONFIG_TRACEPOINTS) || !defined(waits_argument)

/* The module builds everywhere and says by its error that it can't look. */
static int __init waits_init(void)
{
	pr_info("plugstorm_waits: this kernel has no lockdep, kprobes, stack traces or tracepoints\n");
	return -EOPNOTSUPP;
}

module_init(waits_init);

#else

#define WAITS_TAKES	4096
#define WAITS_WAITS	512
#define WAITS_WRITERS	2048
#define WAITS_WORKS	512
#define WAITS_WINDOW	32	/* places that an entry may be at, from its hash on */
#define WAITS_HELD	10	/* locks noted of one task */
#define WAITS_NAME	48	/* of a lock or a file */
#define WAITS_DEPTH	16	/* frames kept of a stack */
#define WAITS_CLASSES	(1U << MAX_LOCKDEP_KEYS_BITS)
#define WAITS_EDGES	2048	/* looked at, of one class */

enum waits_who_kind { WHO_THREAD, WHO_WORK, WHO_KERNFS };

struct waits_who {
	enum waits_who_kind kind;
	const void *id;			/* of a work its function, of kernfs the key */
	char comm[TASK_COMM_LEN];	/* of a thread, folded, the rest zero */
};

struct waits_lock {
	const void *key;		/* NULL: none */
	const void *instance;		/* NULL: not always the same */
	bool write, tried;
};

struct waits_take {
	atomic_t state;			/* 0 free, 1 being filled, 2 filled */
	struct waits_who who;
	struct waits_lock lock;
	struct waits_lock held[WAITS_HELD];
	char name[WAITS_NAME];
	unsigned long ip;		/* 0: not always the same */
	atomic_t count;
};

struct waits_wait {
	atomic_t state;
	const char *kind;
	struct waits_who who;
	const void *file;		/* kernfs */
	bool files;			/* several */
	char name[WAITS_NAME];
	struct waits_lock held[WAITS_HELD];
	unsigned int frames;
	unsigned long frame[WAITS_DEPTH];
	atomic_t count;
};

struct waits_writer {
	atomic_t state;
	const void *key;
	struct waits_lock held[WAITS_HELD];
	char name[WAITS_NAME];
};

/* What a worker does. */
struct waits_worker {
	atomic_long_t task;
	const void *func;
};

static struct waits_take *waits_takes;
static struct waits_wait *waits_waits;
static struct waits_writer *waits_writers;
static struct waits_worker waits_workers[WAITS_WORKS];
static atomic_t waits_lost_takes, waits_lost_waits, waits_lost_works;
static struct dentry *waits_dir;
static const char *waits_kernfs;	/* the name of all kernfs lock classes, once it was seen */

/* ---- what lockdep knows ---- */

/* lockdep's array of classes: found by what held locks say of theirs. */
static struct lock_class *waits_classes, *waits_guess;
static atomic_t waits_agree;
static unsigned int waits_last;

/*
 * A held lock tells its class by number, and its lockdep_map by address, but the
 * address is that of subclass 0, which the lock needn't be held with. Such a lock
 * is wrong the same way each time, but not as another one is: so many different
 * ones in a row that agree are right.
 */
static void waits_learn(const struct held_lock *hlock)
{
	struct lock_class *class = hlock->instance->class_cache[0], *base;

	if (waits_classes || !class || !hlock->class_idx || hlock->class_idx == READ_ONCE(waits_last))
		return;
	WRITE_ONCE(waits_last, hlock->class_idx);
	base = class - hlock->class_idx;
	if (base != waits_guess) {
		waits_guess = base;
		atomic_set(&waits_agree, 0);
	} else if (atomic_inc_return(&waits_agree) >= 8) {
		WRITE_ONCE(waits_classes, base);
	}
}

static bool waits_sleeps(u8 inner)
{
	return inner == LD_WAIT_SLEEP || inner == LD_WAIT_INV;
}

/* The class of a lock, NULL for one that lockdep doesn't check or know yet. */
static const void *waits_key(const struct lockdep_map *map, unsigned int subclass)
{
	if (!map || !map->key || map->key == &__lockdep_no_validate__ || subclass >= MAX_LOCKDEP_SUBCLASSES)
		return NULL;
	return map->key->subkeys + subclass;
}

static const void *waits_held_key(const struct held_lock *hlock)
{
	const struct lock_class *classes = READ_ONCE(waits_classes);

	if (!hlock->instance || !hlock->check || !waits_key(hlock->instance, 0) ||
	    !waits_sleeps(hlock->instance->wait_type_inner))
		return NULL;
	if (classes)
		return classes[hlock->class_idx].key;
	waits_learn(hlock);
	return waits_key(hlock->instance, 0);
}

static int waits_depth(void)
{
	return min_t(int, READ_ONCE(current->lockdep_depth), MAX_LOCK_DEPTH);
}

/* Lists what current holds; all but a lock of this name. */
static unsigned int waits_list(struct waits_lock *held, const char *but)
{
	int i, depth = waits_depth();
	unsigned int n = 0;

	for (i = 0; i < depth && n < WAITS_HELD; i++) {
		const struct held_lock *hlock = &current->held_locks[i];
		const void *key = waits_held_key(hlock);

		if (!key || (but && hlock->instance->name && !strcmp(hlock->instance->name, but)))
			continue;
		held[n].key = key;
		held[n].instance = hlock->instance;
		held[n].write = !hlock->read;
		held[n].tried = hlock->trylock;
		n++;
	}
	return n;
}

static struct waits_lock *waits_find_lock(struct waits_lock *held, const void *key)
{
	unsigned int i;

	for (i = 0; i < WAITS_HELD; i++)
		if (READ_ONCE(held[i].key) == key)
			return &held[i];
	return NULL;
}

/* ---- who ---- */

/* Copies a name with each row of digits as one '#', so that "kcompactd1" is "kcompactd#". */
static void waits_fold(char *to, const char *from)
{
	unsigned int i, n = 0;

	for (i = 0; i < TASK_COMM_LEN && from[i] && n < TASK_COMM_LEN - 1; i++) {
		if (!isdigit(from[i]))
			to[n++] = from[i];
		else if (!n || to[n - 1] != '#')
			to[n++] = '#';
	}
	memset(to + n, 0, TASK_COMM_LEN - n);
}

static struct waits_worker *waits_worker_of(const struct task_struct *task, bool make)
{
	u32 at = jhash_1word((u32)(unsigned long)task, 0);
	unsigned int i;

	for (i = 0; i < WAITS_WINDOW; i++) {
		struct waits_worker *w = &waits_workers[(at + i) % WAITS_WORKS];

		if (atomic_long_read(&w->task) == (long)task)
			return w;
	}
	for (i = 0; make && i < WAITS_WINDOW; i++) {
		struct waits_worker *w = &waits_workers[(at + i) % WAITS_WORKS];

		if (!atomic_long_read(&w->task) && !atomic_long_cmpxchg(&w->task, 0, (long)task))
			return w;
	}
	return NULL;
}

/* How kernel/workqueue.c struct work_for_cpu begins. */
struct waits_work_for_cpu {
	struct work_struct work;
	long (*fn)(void *);
};

static work_func_t waits_for_cpu;	/* what all works of work_on_cpu() have as their function */

/* Runs in such a work. */
static long waits_learn_for_cpu(void *unused)
{
	waits_for_cpu = current_work()->func;
	return 0;
}

/* Says what a work does: work_on_cpu() takes any function, and each is a work of its own. */
static const void *waits_func_of(const struct work_struct *work)
{
	if (work->func && work->func == waits_for_cpu)
		return container_of(work, struct waits_work_for_cpu, work)->fn;
	return work->func;
}

static void waits_work_start(void *unused, struct work_struct *work)
{
	struct waits_worker *w = waits_worker_of(current, true);

	if (w)
		w->func = waits_func_of(work);
	else
		atomic_inc(&waits_lost_works);
}

static void waits_work_end(void *unused, struct work_struct *work, work_func_t func)
{
	struct waits_worker *w = waits_worker_of(current, false);

	if (!w)
		return;
	w->func = NULL;
	atomic_long_set(&w->task, 0);
}

/* Says who a kernel thread is; false for a worker between two works. */
static bool waits_thread(struct waits_who *who)
{
	memset(who, 0, sizeof(*who));
	if (current->flags & PF_WQ_WORKER) {
		struct waits_worker *w = waits_worker_of(current, false);

		who->kind = WHO_WORK;
		who->id = w ? w->func : NULL;
		return who->id;
	}
	who->kind = WHO_THREAD;
	waits_fold(who->comm, current->comm);
	return true;
}

/* Says whose operation current is in, if it is one of a kernfs file. */
static bool waits_in_kernfs(struct waits_who *who)
{
	const char *name = READ_ONCE(waits_kernfs);
	int i, depth = waits_depth();

	for (i = 0; name && i < depth; i++) {
		const struct lockdep_map *map = current->held_locks[i].instance;

		if (!map || map->name != name || !current->held_locks[i].read)
			continue;
		memset(who, 0, sizeof(*who));
		who->kind = WHO_KERNFS;
		who->id = waits_key(map, 0);
		return who->id;
	}
	return false;
}

static u32 waits_hash(const struct waits_who *who)
{
	return jhash(who, sizeof(*who), 0);
}

/* ---- who takes what ---- */

/* What is not held now was not held every time. */
static void waits_narrow(struct waits_lock *held)
{
	struct waits_lock now[WAITS_HELD];
	unsigned int i;

	for (i = 0; i < WAITS_HELD && !READ_ONCE(held[i].key); i++)
		;
	if (i == WAITS_HELD)
		return;
	memset(now, 0, sizeof(now));
	waits_list(now, NULL);
	for (; i < WAITS_HELD; i++) {
		struct waits_lock *l;

		if (!held[i].key)
			continue;
		l = waits_find_lock(now, held[i].key);
		if (!l) {
			WRITE_ONCE(held[i].key, NULL);
			continue;
		}
		if (l->instance != held[i].instance)
			held[i].instance = NULL;
		held[i].tried &= l->tried;
		held[i].write &= l->write;
	}
}

static void waits_note_writer(const void *key, const char *name)
{
	u32 at = jhash_1word((u32)(unsigned long)key, 0);
	unsigned int i;

	for (i = 0; i < WAITS_WINDOW; i++) {
		struct waits_writer *w = &waits_writers[(at + i) % WAITS_WRITERS];

		if (!atomic_read(&w->state) && !atomic_cmpxchg(&w->state, 0, 1)) {
			w->key = key;
			strscpy(w->name, name, sizeof(w->name));
			waits_list(w->held, NULL);
			atomic_set_release(&w->state, 2);
			return;
		}
		if (atomic_read_acquire(&w->state) != 2 || w->key != key)
			continue;
		waits_narrow(w->held);
		return;
	}
	atomic_inc(&waits_lost_takes);
}

static void waits_note_take(const struct waits_who *who, const struct lockdep_map *map, const void *key, bool write,
			    unsigned long ip)
{
	u32 at = jhash_2words((u32)(unsigned long)key, write, waits_hash(who));
	unsigned int i;

	for (i = 0; i < WAITS_WINDOW; i++) {
		struct waits_take *t = &waits_takes[(at + i) % WAITS_TAKES];

		if (!atomic_read(&t->state) && !atomic_cmpxchg(&t->state, 0, 1)) {
			t->who = *who;
			t->lock = (struct waits_lock){ .key = key, .instance = map, .write = write };
			strscpy(t->name, map->name ?: "?", sizeof(t->name));
			waits_list(t->held, NULL);
			t->ip = ip;
			atomic_set(&t->count, 1);
			atomic_set_release(&t->state, 2);
			return;
		}
		if (atomic_read_acquire(&t->state) != 2 || t->lock.key != key || t->lock.write != write ||
		    memcmp(&t->who, who, sizeof(*who)))
			continue;
		atomic_inc(&t->count);
		if (t->lock.instance != map)
			t->lock.instance = NULL;
		if (t->ip != ip)
			t->ip = 0;
		waits_narrow(t->held);
		return;
	}
	atomic_inc(&waits_lost_takes);
}

/* Is called for every lock that is taken. */
static void waits_acquire(void *unused, struct lockdep_map *map, unsigned int subclass, int trylock, int read, int check,
			  struct lockdep_map *next_lock, unsigned long ip)
{
	struct waits_who who;
	const void *key;

	if (!waits_sleeps(map->wait_type_inner))
		return;
	if (trylock) {
		if (unlikely(!waits_kernfs) && map->name && !strcmp(map->name, "kn->active"))
			WRITE_ONCE(waits_kernfs, map->name);
		return;
	}
	key = waits_key(map, subclass);
	if (!key || !check || !debug_locks || current->lockdep_recursion || !in_task())
		return;
	if (!read)
		waits_note_writer(key, map->name ?: "?");
	if (current->flags & PF_KTHREAD ? waits_thread(&who) : waits_in_kernfs(&who))
		waits_note_take(&who, map, key, !read, ip);
}

/* ---- who waits for whom ---- */

#ifdef CONFIG_PPC64
/* As in plugstorm_rules.c. */
static __no_sanitize_address unsigned int waits_stack(struct pt_regs *regs, unsigned long *frame)
{
	unsigned long low = (unsigned long)task_stack_page(current), sp = regs->gpr[1];
	unsigned int n = 0;

	frame[n++] = regs->nip;
	frame[n++] = regs->link;
	while (n < WAITS_DEPTH && sp >= low && sp <= low + THREAD_SIZE - STACK_FRAME_MIN_SIZE && !(sp & 7)) {
		unsigned long next = *(unsigned long *)sp;

		if (next <= sp || next > low + THREAD_SIZE - STACK_FRAME_MIN_SIZE)
			break;
		sp = next;
		frame[n++] = ((unsigned long *)sp)[STACK_FRAME_LR_SAVE];
	}
	return n;
}
#else
/* As in plugstorm_rules.c. */
static __no_sanitize_address unsigned int waits_stack(struct pt_regs *regs, unsigned long *frame)
{
	unsigned long all[WAITS_DEPTH + 8], ret = *(unsigned long *)kernel_stack_pointer(regs);
	unsigned int len = stack_trace_save(all, ARRAY_SIZE(all), 0), at, n = 0;

	for (at = 0; at < len && all[at] != instruction_pointer(regs); at++)
		;
	at = at < len ? at + 1 : 0;
	frame[n++] = instruction_pointer(regs);
	frame[n++] = ret;
	if (at < len && all[at] == ret)
		at++;
	while (at < len && n < WAITS_DEPTH)
		frame[n++] = all[at++];
	return n;
}
#endif

static bool waits_same_held(const struct waits_lock *a, const struct waits_lock *b)
{
	unsigned int i;

	for (i = 0; i < WAITS_HELD; i++)
		if (a[i].key != b[i].key || a[i].write != b[i].write)
			return false;
	return true;
}

static void waits_again(struct waits_wait *w, const struct waits_lock *held, const void *file)
{
	unsigned int i;

	atomic_inc(&w->count);
	for (i = 0; i < WAITS_HELD; i++)
		if (w->held[i].instance != held[i].instance)
			w->held[i].instance = NULL;
	if (w->file != file)
		w->files = true;
}

/* Files of one class that have different names are told apart. */
static void waits_note_wait(struct pt_regs *regs, const char *kind, const struct waits_who *who,
			    const struct kernfs_node *file)
{
	struct waits_lock held[WAITS_HELD] = {};
	char name[WAITS_NAME] = "";
	unsigned int i;
	u32 at;

	if (!debug_locks || !waits_list(held, file ? "&root->kernfs_rwsem" : NULL))
		return;
	if (file)
		strscpy(name, file->name ?: "?", sizeof(name));
	at = jhash(name, strlen(name), waits_hash(who));
	for (i = 0; i < WAITS_HELD && held[i].key; i++)
		at = jhash_2words((u32)(unsigned long)held[i].key, held[i].write, at);
	for (i = 0; i < WAITS_WINDOW; i++) {
		struct waits_wait *w = &waits_waits[(at + i) % WAITS_WAITS];

		if (!atomic_read(&w->state) && !atomic_cmpxchg(&w->state, 0, 1)) {
			w->kind = kind;
			w->who = *who;
			w->file = file;
			strscpy(w->name, name, sizeof(w->name));
			memcpy(w->held, held, sizeof(held));
			w->frames = waits_stack(regs, w->frame);
			atomic_set(&w->count, 1);
			atomic_set_release(&w->state, 2);
			return;
		}
		if (atomic_read_acquire(&w->state) != 2 || w->kind != kind || memcmp(&w->who, who, sizeof(*who)) ||
		    strcmp(w->name, name) || !waits_same_held(w->held, held))
			continue;
		waits_again(w, held, file);
		return;
	}
	atomic_inc(&waits_lost_waits);
}

static void waits_for_task(struct pt_regs *regs, const char *kind, const struct task_struct *task)
{
	struct waits_who who = { .kind = WHO_THREAD };

	waits_fold(who.comm, task->comm);
	waits_note_wait(regs, kind, &who, NULL);
}

static int waits_stop(struct kprobe *p, struct pt_regs *regs)
{
	waits_for_task(regs, "stop", (struct task_struct *)waits_argument(regs, 0));
	return 0;
}

static int waits_park(struct kprobe *p, struct pt_regs *regs)
{
	waits_for_task(regs, "park", (struct task_struct *)waits_argument(regs, 0));
	return 0;
}

/* All kernel threads are made by kthreadd (kernel/kthread.c). */
static int waits_create(struct kprobe *p, struct pt_regs *regs)
{
	struct waits_who who = { .kind = WHO_THREAD, .comm = "kthreadd" };

	waits_note_wait(regs, "create", &who, NULL);
	return 0;
}

/* bool __flush_work(struct work_struct *work, bool from_cancel) */
static int waits_flush(struct kprobe *p, struct pt_regs *regs)
{
	const struct work_struct *work = (struct work_struct *)waits_argument(regs, 0);
	struct waits_who who = { .kind = WHO_WORK, .id = waits_func_of(work) };

	if (who.id)
		waits_note_wait(regs, (u8)waits_argument(regs, 1) ? "cancel" : "flush", &who, NULL);
	return 0;
}

/* void kernfs_drain(struct kernfs_node *kn), which lets go of kernfs_rwsem before it waits. */
static int waits_remove(struct kprobe *p, struct pt_regs *regs)
{
	const struct kernfs_node *kn = (struct kernfs_node *)waits_argument(regs, 0);
	struct waits_who who = { .kind = WHO_KERNFS };

	if (!(kn->flags & KERNFS_LOCKDEP))
		return 0;
	who.id = waits_key(&kn->dep_map, 0);
	if (who.id)
		waits_note_wait(regs, "remove", &who, kn);
	return 0;
}

/* See plugstorm_rules.c: no probe is jump-optimised, so that all come the same way. */
static void waits_after(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

static struct waits_probe {
	struct kprobe probe;
	int error;
} waits_probes[] = {
	{ .probe = { .symbol_name = "kthread_stop", .pre_handler = waits_stop, .post_handler = waits_after } },
	{ .probe = { .symbol_name = "kthread_park", .pre_handler = waits_park, .post_handler = waits_after } },
	{ .probe = { .symbol_name = "__kthread_create_on_node", .pre_handler = waits_create, .post_handler = waits_after } },
	{ .probe = { .symbol_name = "__flush_work", .pre_handler = waits_flush, .post_handler = waits_after } },
	{ .probe = { .symbol_name = "kernfs_drain", .pre_handler = waits_remove, .post_handler = waits_after } },
};

/* ---- out ---- */

static void waits_show_who(struct seq_file *m, const struct waits_who *who)
{
	switch (who->kind) {
	case WHO_THREAD:
		seq_puts(m, " thread:");
		seq_escape(m, who->comm, " \t\n\\");
		break;
	case WHO_WORK:
		seq_printf(m, " work:%ps", who->id);
		break;
	case WHO_KERNFS:
		seq_printf(m, " kernfs:%p", who->id);
		break;
	}
}

static void waits_show_held(struct seq_file *m, const struct waits_lock *held)
{
	unsigned int i, n = 0;

	seq_puts(m, " held=");
	for (i = 0; i < WAITS_HELD; i++) {
		const void *key = READ_ONCE(held[i].key), *instance = READ_ONCE(held[i].instance);

		if (!key)
			continue;
		seq_printf(m, "%s%p:%c%s:", n++ ? "," : "", key, held[i].write ? 'w' : 'r', held[i].tried ? "t" : "");
		if (instance)
			seq_printf(m, "%p", instance);
		else
			seq_putc(m, '0');
	}
	if (!n)
		seq_putc(m, '-');
}

static void waits_show_instance(struct seq_file *m, const void *instance, bool many)
{
	seq_printf(m, " inst=%p many=%d", instance, many);
}

static bool waits_awaited(const struct waits_who *who)
{
	unsigned int i;

	for (i = 0; i < WAITS_WAITS; i++)
		if (atomic_read_acquire(&waits_waits[i].state) == 2 && !memcmp(&waits_waits[i].who, who, sizeof(*who)))
			return true;
	return false;
}

static void waits_show_take(struct seq_file *m, const struct waits_take *t)
{
	if (atomic_read_acquire(&t->state) != 2 || !waits_awaited(&t->who))
		return;
	seq_puts(m, "take");
	waits_show_who(m, &t->who);
	seq_printf(m, " key=%p mode=%c n=%d", t->lock.key, t->lock.write ? 'w' : 'r', atomic_read(&t->count));
	waits_show_instance(m, t->lock.instance, !t->lock.instance);
	if (t->ip)
		seq_printf(m, " at=%ps", (void *)t->ip);
	else
		seq_puts(m, " at=-");
	waits_show_held(m, t->held);
	seq_puts(m, " lock=");
	seq_escape(m, t->name, "\t\n\\");
	seq_putc(m, '\n');
}

static void waits_show_wait(struct seq_file *m, const struct waits_wait *w)
{
	unsigned int i;

	if (atomic_read_acquire(&w->state) != 2)
		return;
	seq_printf(m, "wait %s", w->kind);
	waits_show_who(m, &w->who);
	seq_printf(m, " n=%d", atomic_read(&w->count));
	waits_show_instance(m, w->file ? &((const struct kernfs_node *)w->file)->dep_map : NULL, w->files);
	waits_show_held(m, w->held);
	seq_puts(m, " name=");
	seq_escape(m, w->name, " \t\n\\");
	seq_puts(m, " stack=");
	for (i = 0; i < w->frames; i++)
		seq_printf(m, "%s%ps", i ? "<" : "", (void *)w->frame[i]);
	seq_putc(m, '\n');
}

static void waits_show_writers(struct seq_file *m)
{
	unsigned int i;

	for (i = 0; i < WAITS_WRITERS; i++) {
		const struct waits_writer *w = &waits_writers[i];

		if (atomic_read_acquire(&w->state) != 2)
			continue;
		seq_printf(m, "writer %p", w->key);
		waits_show_held(m, w->held);
		seq_putc(m, ' ');
		seq_escape(m, w->name, "\t\n\\");
		seq_putc(m, '\n');
	}
}

static int waits_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	seq_printf(m, "plugstorm_waits 1\ndebug_locks %d\n", READ_ONCE(debug_locks));
	seq_printf(m, "lost takes=%d waits=%d works=%d\n", atomic_read(&waits_lost_takes), atomic_read(&waits_lost_waits),
		   atomic_read(&waits_lost_works));
	for (i = 0; i < ARRAY_SIZE(waits_probes); i++) {
		const struct waits_probe *p = &waits_probes[i];

		seq_printf(m, "probe %s ", p->probe.symbol_name);
		if (p->error)
			seq_printf(m, "state=unavailable:%d\n", -p->error);
		else
			seq_printf(m, "state=ok missed=%lu\n", p->probe.nmissed);
	}
	for (i = 0; i < WAITS_WAITS; i++)
		waits_show_wait(m, &waits_waits[i]);
	for (i = 0; i < WAITS_TAKES; i++)
		waits_show_take(m, &waits_takes[i]);
	waits_show_writers(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(waits);

/* As lockdep does in /proc/lockdep, without its counts, for which it walks the whole graph. */
static void waits_show_class(struct seq_file *m, const struct lock_class *class)
{
	const struct lock_list *entry;
	unsigned int n = 0;

	if (!class->key || !waits_sleeps(class->wait_type_inner))
		return;
	seq_printf(m, "class %zu %p ", class - waits_classes, class->key);
	if (class->name)
		seq_escape(m, class->name, "\t\n\\");
	else
		seq_printf(m, "%ps", class->key);
	if (class->name_version > 1)
		seq_printf(m, "#%d", class->name_version);
	if (class->subclass)
		seq_printf(m, "/%d", class->subclass);
	seq_putc(m, '\n');
	list_for_each_entry_rcu(entry, &class->locks_after, entry, true) {
		if (entry->distance == 1 && waits_sleeps(entry->class->wait_type_inner) && n++ < WAITS_EDGES)
			seq_printf(m, "edge %zu %zu %x\n", class - waits_classes, entry->class - waits_classes, entry->dep);
	}
}

static int order_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	seq_puts(m, "plugstorm_waits 1\n");
	for (i = 0; READ_ONCE(waits_classes) && i < WAITS_CLASSES; i++) {
		rcu_read_lock();
		waits_show_class(m, &waits_classes[i]);
		rcu_read_unlock();
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(order);

/* ---- in and out ---- */

static struct waits_trace {
	const char *name;
	void *probe;
	struct tracepoint *point;
} waits_traces[] = {
	{ "workqueue_execute_start", waits_work_start },
	{ "workqueue_execute_end", waits_work_end },
	{ "lock_acquire", waits_acquire },
};

static void waits_find_trace(struct tracepoint *point, void *unused)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(waits_traces); i++)
		if (!strcmp(point->name, waits_traces[i].name))
			waits_traces[i].point = point;
}

static void waits_stop_all(unsigned int traces, unsigned int probes)
{
	while (probes--)
		if (!waits_probes[probes].error)
			unregister_kprobe(&waits_probes[probes].probe);
	while (traces--)
		tracepoint_probe_unregister(waits_traces[traces].point, waits_traces[traces].probe, NULL);
	tracepoint_synchronize_unregister();
	vfree(waits_writers);
	vfree(waits_waits);
	vfree(waits_takes);
}

static int __init waits_init(void)
{
	unsigned int i;
	int err = -ENOMEM;

	waits_takes = vzalloc(array_size(WAITS_TAKES, sizeof(*waits_takes)));
	waits_waits = vzalloc(array_size(WAITS_WAITS, sizeof(*waits_waits)));
	waits_writers = vzalloc(array_size(WAITS_WRITERS, sizeof(*waits_writers)));
	if (!waits_takes || !waits_waits || !waits_writers) {
		waits_stop_all(0, 0);
		return -ENOMEM;
	}
	work_on_cpu_safe(cpumask_first(cpu_online_mask), waits_learn_for_cpu, NULL);
	for_each_kernel_tracepoint(waits_find_trace, NULL);
	for (i = 0; i < ARRAY_SIZE(waits_traces); i++) {
		err = waits_traces[i].point ? tracepoint_probe_register(waits_traces[i].point, waits_traces[i].probe, NULL)
					    : -ENOENT;
		if (err) {
			pr_info("plugstorm_waits: tracepoint %s: error %d\n", waits_traces[i].name, err);
			waits_stop_all(i, 0);
			return err;
		}
	}
	for (i = 0; i < ARRAY_SIZE(waits_probes); i++)
		waits_probes[i].error = register_kprobe(&waits_probes[i].probe);
	waits_dir = debugfs_create_dir("plugstorm_waits", NULL);
	if (IS_ERR(waits_dir)) {
		waits_stop_all(ARRAY_SIZE(waits_traces), ARRAY_SIZE(waits_probes));
		return PTR_ERR(waits_dir);
	}
	debugfs_create_file("waits", 0400, waits_dir, NULL, &waits_fops);
	debugfs_create_file("order", 0400, waits_dir, NULL, &order_fops);
	return 0;
}

static void __exit waits_exit(void)
{
	debugfs_remove(waits_dir);
	waits_stop_all(ARRAY_SIZE(waits_traces), ARRAY_SIZE(waits_probes));
}

module_init(waits_init);
module_exit(waits_exit);

#endif

MODULE_DESCRIPTION("plugstorm: who waits for whom under which locks");
MODULE_LICENSE("GPL");
