// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// TaskAffinity binds threads to CPUs that go.
var TaskAffinity = agent.Workloads.Register(&agent.Workload{
	Name: "task-affinity",
	Doc: "threads bind themselves to some of the possible CPUs, change their scheduling policy (deadline, FIFO, idle, batch), sleep and are woken where their CPU may be gone, " +
		"and let all CPUs pass a barrier (membarrier): affine_move_task and the stopper, dl_bw of root domains, select_fallback_rq, cpu_hotplug_lock for reading, cpuset_mutex",
	Touches: []string{
		"kernel/sched/syscalls.c:__sched_setaffinity", "kernel/sched/syscalls.c:__sched_setscheduler", "kernel/sched/syscalls.c:sched_setattr", "kernel/sched/syscalls.c",
		"kernel/sched/core.c:__set_cpus_allowed_ptr", "kernel/sched/core.c:affine_move_task", "kernel/sched/core.c:select_fallback_rq", "kernel/sched/core.c:migration_cpu_stop",
		"kernel/sched/core.c:__balance_push_cpu_stop", "kernel/sched/deadline.c:sched_dl_overflow", "kernel/sched/deadline.c:dl_bw_check_overflow", "kernel/sched/deadline.c",
		"kernel/sched/rt.c", "kernel/sched/membarrier.c", "kernel/stop_machine.c:stop_one_cpu", "kernel/cgroup/cpuset.c:cpuset_cpus_allowed",
		"kernel/cgroup/cpuset.c:inc_dl_tasks_cs", "kernel/cgroup/cpuset.c:dec_dl_tasks_cs",
	},
	Run: taskAffinity{tree: guest}.run,
})

type taskAffinity struct{ tree sysfs.Tree }

func (a taskAffinity) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	possible, err := a.possible()
	if err != nil {
		return err
	}
	l := loop{params: p, meter: m, threads: 3, refuses: append([]unix.Errno{unix.ENOSYS, unix.ESRCH}, knobRefusals...)}
	return l.run(ctx, func(int) (round, error) {
		runtime.LockOSThread() // never unlocked: the thread ends with its affinity
		return func(ctx context.Context, rng *rand.Rand) error {
			err := affinityActs[rng.IntN(len(affinityActs))](rng, possible)
			pause(ctx, affinityRest)
			return err
		}, nil
	})
}

// affinityRest is how long a thread sleeps between two rounds, for its CPU to go
// meanwhile and for those with a higher priority to leave room.
const affinityRest = 2 * time.Millisecond

// possible is how many CPUs there may ever be, a few at most: the storms know no more.
func (a taskAffinity) possible() (int, error) {
	text, err := a.tree.Text("sys/devices/system/cpu/possible")
	if err != nil {
		return 0, err
	}
	cpus, err := sysfs.ParseList(text)
	if err != nil {
		return 0, err
	}
	const few = 8
	return max(min(len(cpus), few), 1), nil
}

// affinityActs are equally likely. Each is about the calling thread.
var affinityActs = []func(rng *rand.Rand, possible int) error{bindToSome, bindToSome, changePolicy, passBarrier}

// bindToSome lets the thread run on some of the CPUs. EINVAL says that none of them
// is there.
func bindToSome(rng *rand.Rand, possible int) error {
	var set unix.CPUSet
	for cpu := range possible {
		if rng.IntN(2) == 0 {
			set.Set(cpu)
		}
	}
	set.Set(rng.IntN(possible))
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("sched_setaffinity: %w", err)
	}
	return nil
}

// dlRuntime in each dlPeriod is what a deadline thread is promised: little, so that
// what the CPUs have to give is rarely promised away and a CPU may go.
const (
	dlRuntime = time.Millisecond
	dlPeriod  = 100 * time.Millisecond
)

// policies are those of include/uapi/linux/sched.h with what each needs.
var policies = []unix.SchedAttr{
	{Policy: unix.SCHED_NORMAL}, {Policy: unix.SCHED_BATCH, Nice: 5}, {Policy: unix.SCHED_IDLE}, {Policy: unix.SCHED_FIFO, Priority: 1}, {Policy: unix.SCHED_RR, Priority: 1},
	{Policy: unix.SCHED_DEADLINE, Runtime: uint64(dlRuntime), Deadline: uint64(dlPeriod), Period: uint64(dlPeriod)},
}

// changePolicy gives the thread another policy. One with a deadline has to be allowed
// on all CPUs of its root domain (EPERM), so those that the thread has left are
// allowed again first.
func changePolicy(rng *rand.Rand, possible int) error {
	attr := policies[rng.IntN(len(policies))]
	attr.Size = unix.SizeofSchedAttr
	if attr.Policy == unix.SCHED_DEADLINE {
		var all unix.CPUSet
		for cpu := range len(all) * 64 {
			all.Set(cpu)
		}
		if err := unix.SchedSetaffinity(0, &all); err != nil {
			return fmt.Errorf("sched_setaffinity: %w", err)
		}
	}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		return fmt.Errorf("sched_setattr of policy %d: %w", attr.Policy, err)
	}
	return nil
}

// From include/uapi/linux/membarrier.h.
const (
	membarrierGlobalExpedited          = 1 << 1
	membarrierRegisterGlobalExpedited  = 1 << 2
	membarrierPrivateExpedited         = 1 << 3
	membarrierRegisterPrivateExpedited = 1 << 4
)

// passBarrier has every CPU that runs this process, or anybody who has asked for it,
// pass a memory barrier: kernel/sched/membarrier.c takes cpu_hotplug_lock for that.
func passBarrier(rng *rand.Rand, _ int) error {
	register, pass := uintptr(membarrierRegisterPrivateExpedited), uintptr(membarrierPrivateExpedited)
	if rng.IntN(2) == 0 {
		register, pass = membarrierRegisterGlobalExpedited, membarrierGlobalExpedited
	}
	for _, command := range []uintptr{register, pass} {
		if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, command, 0, 0); errno != 0 {
			return fmt.Errorf("membarrier command %d: %w", command, errno)
		}
	}
	return nil
}
