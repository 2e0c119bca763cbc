// SPDX-License-Identifier: Apache-2.0

package waitfor

import "strings"

// A primitive is a function in which a task waits, or a thin wrapper of one:
// who waits, and for what, is its caller's matter.
type primitive struct {
	names  string // separated by blanks; a trailing * stands for any ending
	object Object // what is waited for, as far as the function says
	how    manner
	source string // where the kernel does it
}

// A manner adds to what a primitive says.
type manner int

const (
	generic manner = 1 << iota // says how, not for what: a primitive further out may
	spins                      // waits without sleeping
	behind                     // percpu_rwsem: in the queue, behind whoever blocks it
	asleep                     // a timer ends it: nobody is waited for
)

// scheduler are the functions beneath every primitive: how a task gives up its
// CPU (kernel/sched/core.c, kernel/time/sleep_timeout.c).
const scheduler = "__switch_to context_switch __schedule schedule schedule_timeout schedule_timeout_uninterruptible " +
	"schedule_timeout_killable schedule_timeout_interruptible schedule_preempt_disabled schedule_hrtimeout* io_schedule* " +
	"preempt_schedule* rt_mutex_schedule schedule_rtlock __cond_resched"

// primitives is everything that this package knows about ways to wait. A task
// stands in the innermost of them; those around it say more of the same wait.
var primitives = []primitive{
	{"__mutex_lock* mutex_lock* __ww_mutex_lock* ww_mutex_lock*", Object{Kind: Mutex}, 0, "kernel/locking/mutex.c"},
	{"rt_mutex_lock* _rt_mutex_lock* __rt_mutex_lock* rt_mutex_slowlock* __rt_mutex_slowlock*", Object{Kind: Mutex}, 0, "kernel/locking/rtmutex.c"},
	{"rwsem_down_read_* call_rwsem_down_read_* __down_read* down_read* __rwbase_read_lock rwbase_read_lock", Object{Kind: RWSem, Mode: Read}, 0, "kernel/locking/rwsem.c"},
	{"rwsem_down_write_* call_rwsem_down_write_* __down_write* down_write* rwbase_write_lock", Object{Kind: RWSem, Mode: Write}, 0, "kernel/locking/rwsem.c"},
	{"percpu_rwsem_wait", Object{Kind: PercpuRWSem}, behind, "kernel/locking/percpu-rwsem.c: both modes queue here while a writer has set sem->block"},
	{"__percpu_down_read percpu_down_read*", Object{Kind: PercpuRWSem, Mode: Read}, 0, "kernel/locking/percpu-rwsem.c"},
	{"percpu_down_write", Object{Kind: PercpuRWSem, Mode: Write}, 0, "kernel/locking/percpu-rwsem.c: without percpu_rwsem_wait beneath, it waits for the readers"},
	{"native_queued_spin_lock_slowpath __pv_queued_spin_lock_slowpath queued_spin_lock_slowpath queued_read_lock_slowpath queued_write_lock_slowpath " +
		"do_raw_spin_lock do_raw_read_lock do_raw_write_lock _raw_spin_lock* _raw_read_lock* _raw_write_lock* splpar_spin_yield spin_yield",
		Object{Kind: Spinlock}, spins, "kernel/locking/qspinlock.c, kernel/locking/spinlock.c, arch/powerpc/lib/qspinlock.c"},

	{"cpus_read_lock", Object{PercpuRWSem, "cpu_hotplug_lock", Read}, 0, "kernel/cpu.c"},
	{"cpus_write_lock", Object{PercpuRWSem, "cpu_hotplug_lock", Write}, 0, "kernel/cpu.c"},
	{"get_online_mems", Object{PercpuRWSem, "mem_hotplug_lock", Read}, 0, "mm/memory_hotplug.c"},
	{"mem_hotplug_begin", Object{PercpuRWSem, "mem_hotplug_lock", Write}, 0, "mm/memory_hotplug.c"},
	{"lock_device_hotplug", Object{Mutex, "device_hotplug_lock", ""}, 0, "drivers/base/core.c"},
	{"cpu_maps_update_begin", Object{Mutex, "cpu_add_remove_lock", ""}, 0, "kernel/cpu.c"},
	{"acpi_scan_lock_acquire", Object{Mutex, "acpi_scan_lock", ""}, 0, "drivers/acpi/scan.c"},
	{"rtnl_lock rtnl_lock_killable", Object{Mutex, "rtnl_mutex", ""}, 0, "net/core/rtnetlink.c"},

	{"wait_for_completion* __wait_for_common do_wait_for_common wait_for_common*", Object{Kind: Completion}, generic, "kernel/sched/completion.c"},
	{"kthread_stop kthread_stop_put", Object{Kind: KthreadStop}, 0, "kernel/kthread.c: kthread->exited"},
	{"kthread_park", Object{Kind: KthreadPark}, 0, "kernel/kthread.c: kthread->parked"},
	{"__kthread_create_on_node kthread_create_on_node kthread_create_on_cpu __kthread_create_worker* kthread_create_worker*", Object{KthreadNew, "kthreadd", ""}, 0, "kernel/kthread.c: kthreadd makes it"},
	{"devtmpfs_submit_req devtmpfs_create_node devtmpfs_delete_node", Object{Completion, "kdevtmpfs", ""}, 0, "drivers/base/devtmpfs.c: kdevtmpfs answers it"},
	{"__flush_work flush_work flush_delayed_work flush_rcu_work __cancel_work_timer __cancel_work_sync cancel_work_sync cancel_delayed_work_sync " +
		"disable_work_sync disable_delayed_work_sync", Object{Kind: Work}, 0, "kernel/workqueue.c: a barrier behind the work item"},
	{"__flush_workqueue flush_workqueue drain_workqueue destroy_workqueue __flush_scheduled_work schedule_on_each_cpu", Object{Kind: Work}, 0, "kernel/workqueue.c: all work items of a workqueue"},
	{"work_on_cpu work_on_cpu_key work_on_cpu_safe work_on_cpu_safe_key", Object{Work, "work_for_cpu_fn", ""}, 0, "kernel/workqueue.c"},
	{"kthread_flush_work kthread_flush_worker __kthread_cancel_work_sync kthread_cancel_work_sync kthread_cancel_delayed_work_sync", Object{Kind: Work}, 0, "kernel/kthread.c"},
	{"kernfs_drain __kernfs_remove kernfs_remove kernfs_remove_by_name_ns kernfs_remove_self remove_files sysfs_remove_*", Object{KernfsDrain, "kn->active", ""}, 0, "fs/kernfs/dir.c: kn->active has to drop"},
	{"__wait_rcu_gp wait_rcu_gp synchronize_rcu* synchronize_sched* synchronize_net rcu_barrier* rcu_sync_enter wait_rcu_exp_gp rcu_exp_wait_wake", Object{Kind: RCU}, 0, "kernel/rcu/tree.c, kernel/rcu/sync.c"},
	{"__synchronize_srcu synchronize_srcu* srcu_barrier", Object{RCU, "srcu", ""}, 0, "kernel/rcu/srcutree.c: readers of one srcu_struct, which no stack tells"},
	{"wait_for_ap_thread __cpuhp_kick_ap cpuhp_kick_ap cpuhp_kick_ap_work cpuhp_kick_ap_alive bringup_wait_for_ap_online cpuhp_bringup_ap", Object{CPUHP, "cpuhp", ""}, 0, "kernel/cpu.c: the CPU's hotplug thread"},
	{"takedown_cpu", Object{CPUHP, "cpuhp", ""}, 0, "kernel/cpu.c: wait_for_ap_thread, inlined"},
	{"stop_cpus __stop_cpus stop_one_cpu stop_two_cpus stop_machine stop_machine_cpuslocked stop_core_cpuslocked", Object{Kind: StopMachine}, 0, "kernel/stop_machine.c"},
	{"multi_cpu_stop", Object{Kind: StopMachine}, spins, "kernel/stop_machine.c: the stoppers wait for each other"},
	{"csd_lock_wait smp_call_function* on_each_cpu_cond_mask", Object{Kind: Other, Name: "other CPUs' answer"}, spins, "kernel/smp.c"},
	{"down __down __down_* down_interruptible down_killable down_timeout ___down_common", Object{Kind: Other, Name: "a semaphore"}, 0, "kernel/locking/semaphore.c: counts, has no owner"},
	{"folio_wait_bit* folio_wait_writeback __folio_lock* wait_on_page_bit* __lock_page*", Object{Kind: Other, Name: "a folio"}, 0, "mm/filemap.c"},
	{"out_of_line_wait_on_bit* __wait_on_bit* bit_wait*", Object{Kind: Other}, generic, "kernel/sched/wait_bit.c"},
	{"msleep* usleep_range* fsleep do_nanosleep hrtimer_nanosleep", Object{}, asleep, "kernel/time: a timer"},
}

// A table finds what a function's name stands for.
type table[T any] struct {
	exact  map[string]T
	prefix []prefixed[T]
}

type prefixed[T any] struct {
	prefix string
	value  T
}

func (t *table[T]) add(names string, value T) {
	if t.exact == nil {
		t.exact = map[string]T{}
	}
	for _, name := range strings.Fields(names) {
		if p, ok := strings.CutSuffix(name, "*"); ok {
			t.prefix = append(t.prefix, prefixed[T]{p, value})
		} else {
			t.exact[name] = value
		}
	}
}

func (t *table[T]) find(fn string) (value T, ok bool) {
	if value, ok = t.exact[fn]; ok {
		return value, true
	}
	for _, p := range t.prefix {
		if strings.HasPrefix(fn, p.prefix) {
			return p.value, true
		}
	}
	return value, false
}

var (
	primitiveOf = func() (t table[*primitive]) {
		for i := range primitives {
			t.add(primitives[i].names, &primitives[i])
		}
		return t
	}()
	schedules = func() (t table[bool]) { t.add(scheduler, true); return t }()
)
