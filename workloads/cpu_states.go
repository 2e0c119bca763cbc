// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// cpuStates goes through the steps of CPU hotplug one by one, with what
// CONFIG_CPU_HOTPLUG_STATE_CONTROL gives: cpuN/hotplug/fail and target.
type cpuStates struct {
	tree sysfs.Tree
	// round does something to a CPU. It may leave it anywhere.
	round func(ctx context.Context, c cpuStates, cpu int, states []sysfs.CPUStep, rng *rand.Rand) error
}

// invalidState is CPUHP_INVALID (include/linux/cpuhotplug.h).
const invalidState = -1

func (c cpuStates) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	first := int(p.Option("first", cpuOptions["first"]))
	last := int(p.Option("last", cpuOptions["last"]))
	l := loop{params: p, meter: m, threads: 1, refuses: hotplugRefusals}
	return l.run(ctx, same(func(ctx context.Context, rng *rand.Rand) error {
		text, err := c.tree.Text("sys/devices/system/cpu/hotplug/states")
		if errors.Is(err, unix.ENOENT) {
			return errIdle // a kernel without CPU hotplug
		}
		if err != nil {
			return err
		}
		states, err := sysfs.ParseCPUSteps(text)
		if err != nil {
			return err
		}
		cpu := first + rng.IntN(max(last-first, 0)+1)
		err = c.round(ctx, c, cpu, states, rng)
		return errors.Join(err, c.bringBack(ctx, cpu, states[len(states)-1].Number))
	}))
}

// set writes cpuN/hotplug/fail or target.
func (c cpuStates) set(ctx context.Context, cpu int, attribute string, state int) error {
	return sysfs.Write(ctx, c.tree.Path("sys/devices/system/cpu", "cpu"+strconv.Itoa(cpu), "hotplug", attribute), strconv.Itoa(state))
}

// bringBack has the CPU wholly online again, whatever happened, also after ctx
// has ended. The attribute `online` doesn't know of a CPU that is half way.
func (c cpuStates) bringBack(ctx context.Context, cpu, online int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	return errors.Join(
		c.set(ctx, cpu, "fail", invalidState),
		c.set(ctx, cpu, "target", online),
		c.tree.SetCPU(ctx, cpu, true))
}

// cpuSteps are what a CPU that goes offline or online has the kernel run, for
// Touches: the most of kernel/cpu.c cpuhp_hp_states, and of those who registered more.
var cpuSteps = []string{
	"kernel/cpu.c:_cpu_up", "kernel/cpu.c:_cpu_down", "kernel/cpu.c", "kernel/smpboot.c", "kernel/workqueue.c:workqueue_online_cpu", "kernel/workqueue.c:workqueue_offline_cpu",
	"kernel/smp.c", "kernel/stop_machine.c", "kernel/sched/", "kernel/rcu/tree.c", "kernel/time/", "kernel/irq/cpuhotplug.c", "kernel/watchdog.c",
	"kernel/cgroup/cpuset.c:cpuset_handle_hotplug", "kernel/padata.c", "kernel/trace/trace_osnoise.c", "mm/slub.c:slub_cpu_dead", "mm/page_alloc.c:page_alloc_cpu_dead",
	"mm/vmstat.c:vmstat_cpu_online", "mm/vmstat.c:vmstat_cpu_down_prep", "mm/memcontrol.c:memcg_hotplug_cpu_dead", "block/blk-mq.c", "net/core/dev.c:dev_cpu_dead",
	"arch/x86/kernel/smpboot.c", "arch/powerpc/kernel/smp.c", "arch/powerpc/platforms/pseries/smp.c",
}
