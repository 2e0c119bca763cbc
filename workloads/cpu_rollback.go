// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"math/rand/v2"
	"slices"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// CPURollback has CPU hotplug fail at a random step.
var CPURollback = agent.Workloads.Register(&agent.Workload{
	Name: "cpu-rollback",
	Doc: "has the offlining or onlining of a CPU fail at a random step (cpuN/hotplug/fail), so that every step before it is undone under cpu_hotplug_lock: " +
		"the error paths of the cpuhp state machine and of its callbacks; options first and last (default 1): the CPUs it may take",
	Touches: append([]string{"kernel/cpu.c:fail_store"}, cpuSteps...),
	Options: cpuOptions,
	Run:     cpuStates{tree: guest, round: rollback}.run,
})

func rollback(ctx context.Context, c cpuStates, cpu int, states []sysfs.CPUStep, rng *rand.Rand) error {
	states = slices.DeleteFunc(slices.Clone(states), sysfs.CPUStep.OnlyDead)
	up := rng.IntN(2) == 0
	if up {
		if err := c.tree.SetCPU(ctx, cpu, false); err != nil {
			return err
		}
	}
	// EINVAL for a step that can't fail, and for one on the other side of the CPU.
	if err := c.set(ctx, cpu, "fail", states[rng.IntN(len(states))].Number); err != nil {
		return err
	}
	if err := c.tree.SetCPU(ctx, cpu, up); err != nil && !refusedByHotplug(err) {
		return err
	}
	return nil // it was to fail
}
