// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deadlocks made to order: kthreads that lock each other out for good, in one
 * of the ways in which hotplug code has done so. Who waits for whom is known
 * here, so that what a reader of hung-task reports says can be held against it.
 *
 * No kind depends on timing. The threads meet when each of them has what it
 * holds, and only then take what they never get. A stack names its party by a function
 * of its own, in whose name no word occurs by which readers of such stacks
 * know the functions that merely wait ("wait", "completion", "_lock").
 *
 * lockdep must not speak first, for it switches itself off with its first
 * report and lists no held locks from then on. lockdep_set_novalidate_class()
 * would silence it, but all its locks are one class, which carries the name of
 * the first: they would be listed as "&dev->mutex". So the inner lock of each
 * pair claims to be nested, as a wrong annotation in real code does: "a" inside
 * "b/1" and "b" inside "a/1" is no cycle. validate=1 takes the claim back.
 *
 * There is no exit function: what hangs here never ends, so the module can't
 * be unloaded. A guest that has loaded it is good for nothing else.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/kthread.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu-rwsem.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

static char *kind = "abba";
module_param(kind, charp, 0444);
MODULE_PARM_DESC(kind, "the deadlock to make: abba, kthread-stop, completion, flush-work, rwsem-queue, kernfs-drain, rwsem-drain");

static bool validate;
module_param(validate, bool, 0444);
MODULE_PARM_DESC(validate, "let lockdep see the lock order (default no)");

#define DEADLOCK_PARTIES	3

struct deadlock_party {
	const char *name;
	int (*run)(void *unused);
};

struct deadlock_kind {
	const char *name;
	int (*prepare)(void);	/* called before any party runs; may be NULL */
	int meeting;		/* how many come to deadlock_meet() */
	struct deadlock_party party[DEADLOCK_PARTIES];
};

static struct task_struct *deadlock_task[DEADLOCK_PARTIES];

static DEFINE_MUTEX(deadlock_a);
static DEFINE_MUTEX(deadlock_b);
DEFINE_STATIC_PERCPU_RWSEM(deadlock_sem);
static DECLARE_RWSEM(deadlock_rw);

static DECLARE_COMPLETION(deadlock_done);	/* what a party waits for in vain */
static DECLARE_COMPLETION(deadlock_met);
static atomic_t deadlock_missing;

/* Returns when everybody has what it holds. */
static void deadlock_meet(void)
{
	if (atomic_dec_and_test(&deadlock_missing))
		complete_all(&deadlock_met);
	wait_for_completion(&deadlock_met);
}

/*
 * Takes a mutex in the order that lockdep must not see. Inline, so that the
 * party's own function stands in the stack right above the mutex.
 */
static __always_inline void deadlock_take(struct mutex *lock)
{
	mutex_lock_nested(lock, validate ? 0 : SINGLE_DEPTH_NESTING);
}

/* abba: two mutexes in two orders. */

static noinline int deadlock_abba_first(void *unused)
{
	mutex_lock(&deadlock_a);
	deadlock_meet();
	deadlock_take(&deadlock_b);
	mutex_unlock(&deadlock_b);
	mutex_unlock(&deadlock_a);
	return 0;
}

static noinline int deadlock_abba_second(void *unused)
{
	mutex_lock(&deadlock_b);
	deadlock_meet();
	deadlock_take(&deadlock_a);
	mutex_unlock(&deadlock_a);
	mutex_unlock(&deadlock_b);
	return 0;
}

/* kthread-stop: a thread is stopped under the mutex that it waits for. */

static noinline int deadlock_stop_holder(void *unused)
{
	mutex_lock(&deadlock_a);
	deadlock_meet();
	kthread_stop(deadlock_task[1]);
	mutex_unlock(&deadlock_a);
	return 0;
}

static noinline int deadlock_stop_taker(void *unused)
{
	deadlock_meet();
	do { /* the mutex first: the stop may have been asked for already */
		mutex_lock(&deadlock_a);
		mutex_unlock(&deadlock_a);
	} while (!kthread_should_stop());
	return 0;
}

/* completion: who would complete it waits for a mutex of who waits for it. */

static noinline int deadlock_done_holder(void *unused)
{
	mutex_lock(&deadlock_a);
	deadlock_meet();
	wait_for_completion(&deadlock_done);
	mutex_unlock(&deadlock_a);
	return 0;
}

static noinline int deadlock_done_taker(void *unused)
{
	deadlock_meet();
	mutex_lock(&deadlock_a);
	complete(&deadlock_done);
	mutex_unlock(&deadlock_a);
	return 0;
}

/* flush-work: a work item is flushed under the mutex that it takes. */

static noinline void deadlock_work_fn(struct work_struct *work)
{
	deadlock_take(&deadlock_a);
	mutex_unlock(&deadlock_a);
}

static DECLARE_WORK(deadlock_work, deadlock_work_fn);

static noinline int deadlock_flush_holder(void *unused)
{
	mutex_lock(&deadlock_a);
	schedule_work(&deadlock_work);
	flush_work(&deadlock_work);
	mutex_unlock(&deadlock_a);
	return 0;
}

/*
 * rwsem-queue: one reader waits for another, which a queued writer keeps out.
 * Without the writer both would go on.
 */

static noinline int deadlock_queue_holder(void *unused)
{
	percpu_down_read(&deadlock_sem);
	deadlock_meet();
	wait_for_completion(&deadlock_done);
	percpu_up_read(&deadlock_sem);
	return 0;
}

static noinline int deadlock_queue_writer(void *unused)
{
	deadlock_meet();
	percpu_down_write(&deadlock_sem);
	percpu_up_write(&deadlock_sem);
	return 0;
}

static noinline int deadlock_queue_reader(void *unused)
{
	deadlock_meet();
	/* A reader gets in until the writer is queued, and never again. */
	while (percpu_down_read_trylock(&deadlock_sem)) {
		percpu_up_read(&deadlock_sem);
		cond_resched();
	}
	percpu_down_read(&deadlock_sem);
	complete(&deadlock_done);
	percpu_up_read(&deadlock_sem);
	return 0;
}

/*
 * kernfs-drain: an attribute is removed under the mutex that its show()
 * takes. The reader comes from user space.
 */

static struct kobject *deadlock_kobj;

static noinline ssize_t deadlock_drain_show(struct kobject *kobj,
					    struct kobj_attribute *attr, char *buf)
{
	deadlock_meet();
	deadlock_take(&deadlock_a);
	mutex_unlock(&deadlock_a);
	return sysfs_emit(buf, "free\n");
}

static struct kobj_attribute deadlock_drain_attr =
	__ATTR(state, 0400, deadlock_drain_show, NULL);

static int deadlock_publish(struct kobj_attribute *attr)
{
	int err;

	deadlock_kobj = kobject_create_and_add(KBUILD_MODNAME, kernel_kobj);
	if (!deadlock_kobj)
		return -ENOMEM;
	err = sysfs_create_file(deadlock_kobj, &attr->attr);
	if (err)
		kobject_put(deadlock_kobj);
	return err;
}

static int deadlock_drain_prepare(void)
{
	return deadlock_publish(&deadlock_drain_attr);
}

static noinline int deadlock_drain_holder(void *unused)
{
	mutex_lock(&deadlock_a);
	deadlock_meet();
	sysfs_remove_file(deadlock_kobj, &deadlock_drain_attr.attr);
	mutex_unlock(&deadlock_a);
	return 0;
}

/*
 * rwsem-drain: an attribute is removed under a lock held to read, which its
 * show() takes to read as well, behind a queued writer. kmem_cache_destroy()
 * against show_slab_objects() and memory hotplug was such a one.
 */

static noinline ssize_t deadlock_shared_show(struct kobject *kobj,
					     struct kobj_attribute *attr, char *buf)
{
	deadlock_meet();
	while (down_read_trylock(&deadlock_rw)) { /* as deadlock_queue_reader() */
		up_read(&deadlock_rw);
		cond_resched();
	}
	down_read_nested(&deadlock_rw, validate ? 0 : SINGLE_DEPTH_NESTING);
	up_read(&deadlock_rw);
	return sysfs_emit(buf, "free\n");
}

static struct kobj_attribute deadlock_shared_attr =
	__ATTR(state, 0400, deadlock_shared_show, NULL);

static int deadlock_shared_prepare(void)
{
	return deadlock_publish(&deadlock_shared_attr);
}

static noinline int deadlock_shared_holder(void *unused)
{
	down_read(&deadlock_rw);
	deadlock_meet();
	sysfs_remove_file(deadlock_kobj, &deadlock_shared_attr.attr);
	up_read(&deadlock_rw);
	return 0;
}

static noinline int deadlock_shared_writer(void *unused)
{
	deadlock_meet();
	down_write(&deadlock_rw);
	up_write(&deadlock_rw);
	return 0;
}

static const struct deadlock_kind deadlock_kinds[] = {
	{
		.name = "abba",
		.meeting = 2,
		.party = {
			{ "first", deadlock_abba_first },
			{ "second", deadlock_abba_second },
		},
	}, {
		.name = "kthread-stop",
		.meeting = 2,
		.party = {
			{ "holder", deadlock_stop_holder },
			{ "taker", deadlock_stop_taker },
		},
	}, {
		.name = "completion",
		.meeting = 2,
		.party = {
			{ "holder", deadlock_done_holder },
			{ "taker", deadlock_done_taker },
		},
	}, {
		.name = "flush-work",
		.party = {
			{ "holder", deadlock_flush_holder },
		},
	}, {
		.name = "rwsem-queue",
		.meeting = 3,
		.party = {
			{ "holder", deadlock_queue_holder },
			{ "writer", deadlock_queue_writer },
			{ "reader", deadlock_queue_reader },
		},
	}, {
		.name = "kernfs-drain",
		.prepare = deadlock_drain_prepare,
		.meeting = 2,
		.party = {
			{ "holder", deadlock_drain_holder },
		},
	}, {
		.name = "rwsem-drain",
		.prepare = deadlock_shared_prepare,
		.meeting = 3,
		.party = {
			{ "holder", deadlock_shared_holder },
			{ "writer", deadlock_shared_writer },
		},
	},
};

static const struct deadlock_kind * __init deadlock_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(deadlock_kinds); i++)
		if (!strcmp(deadlock_kinds[i].name, name))
			return &deadlock_kinds[i];
	return NULL;
}

/* A kthread that was never woken ends without having run its function. */
static void __init deadlock_cancel(void)
{
	unsigned int i;

	for (i = 0; i < DEADLOCK_PARTIES; i++)
		if (deadlock_task[i])
			kthread_stop(deadlock_task[i]);
}

static int __init deadlock_create(const struct deadlock_kind *k)
{
	struct task_struct *task;
	unsigned int i;

	for (i = 0; i < DEADLOCK_PARTIES && k->party[i].run; i++) {
		task = kthread_create(k->party[i].run, NULL, "deadlock/%s",
				      k->party[i].name);
		if (IS_ERR(task))
			return PTR_ERR(task);
		deadlock_task[i] = task;
	}
	return k->prepare ? k->prepare() : 0;
}

static int __init deadlock_start(void)
{
	const struct deadlock_kind *k = deadlock_find(kind);
	unsigned int i;
	int err;

	if (!k) {
		pr_err("no such kind: %s\n", kind);
		return -EINVAL;
	}
	atomic_set(&deadlock_missing, k->meeting);
	err = deadlock_create(k);
	if (err) {
		deadlock_cancel();
		return err;
	}
	for (i = 0; i < DEADLOCK_PARTIES; i++)
		if (deadlock_task[i])
			wake_up_process(deadlock_task[i]);
	return 0;
}

module_init(deadlock_start);

MODULE_DESCRIPTION("plugstorm: deadlocks made to order");
MODULE_LICENSE("GPL");
