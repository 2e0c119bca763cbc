// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"math/rand/v2"
	"slices"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// CPUPartial takes a CPU down to a random step and up again.
var CPUPartial = agent.Workloads.Register(&agent.Workload{
	Name: "cpu-partial",
	Doc: "takes a CPU down to a random step of CPU hotplug (cpuN/hotplug/target), leaves it there for a moment, goes to another one, and brings it back: " +
		"cpu_hotplug_lock, and CPUs that are neither online nor offline; options first and last (default 1): the CPUs it may take",
	Touches: append([]string{"kernel/cpu.c:target_store"}, cpuSteps...),
	Options: cpuOptions,
	Run:     cpuStates{tree: guest, round: partial}.run,
})

func partial(ctx context.Context, c cpuStates, cpu int, states []sysfs.CPUStep, rng *rand.Rand) error {
	states = stops(states)
	for range 2 {
		// EINVAL for a step at which nobody may stop.
		if err := c.set(ctx, cpu, "target", states[rng.IntN(len(states))].Number); err != nil && !refusedByHotplug(err) {
			return err
		}
	}
	return nil
}

// stops lists the steps at which a CPU may be left: offline, and those since its
// workqueues are its own. In between the kernel counts on callbacks that have
// not run, and only this debugging aid leaves a CPU there:
//   - Before its workqueues are its own it counts as online and its workers are
//     bound to no CPU, so all per-CPU work runs on the wrong one: seen in
//     vmstat_update and flush_cpu_slab, see known issue vmstat-update-unbound.
//   - Before it comes up it is dead, and slub:dead hasn't flushed its slabs: seen
//     as "Slab cache still has objects" at kmem_cache_destroy().
//   - From there it comes up again without rcutree:prepare, so its callback list,
//     which takedown_cpu() has disabled, stays so: seen as a warning in call_rcu().
func stops(states []sysfs.CPUStep) []sysfs.CPUStep {
	own := slices.IndexFunc(states, func(s sysfs.CPUStep) bool { return s.Name == "workqueue:online" })
	if own < 0 || len(states) == 0 {
		return states[max(0, len(states)-1):]
	}
	return slices.Concat(states[:1], states[own:])
}
