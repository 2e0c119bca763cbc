// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"

	"plugstorm/harness/agent"
)

// CPURollback has CPU hotplug fail at a random step.
var CPURollback = agent.Workloads.Register(&agent.Workload{
	Name: "cpu-rollback",
	Doc: "has the offlining or onlining of a CPU fail at a random step (cpuN/hotplug/fail), so that every step before it is undone under cpu_hotplug_lock: " +
		"the error paths of the cpuhp state machine and of its callbacks; options first and last (default 1): the CPUs it may take",
	Options: cpuOptions,
	Run:     cpuStates{tree: guest, round: rollback}.run,
})

func rollback(ctx context.Context, c cpuStates, cpu int, states []cpuState, rng *rand.Rand) error {
	states = slices.DeleteFunc(slices.Clone(states), onlyDead)
	up := rng.IntN(2) == 0
	if up {
		if err := c.tree.SetCPU(ctx, cpu, false); err != nil {
			return err
		}
	}
	// EINVAL for a step that can't fail, and for one on the other side of the CPU.
	if err := c.set(ctx, cpu, "fail", states[rng.IntN(len(states))].number); err != nil {
		return err
	}
	if err := c.tree.SetCPU(ctx, cpu, up); err != nil && !refusedByHotplug(err) {
		return err
	}
	return nil // it was to fail
}

// onlyDead reports whether a step does something only when a CPU is dead: it
// may be told to fail while the CPU is offline, doesn't on the way up, and does
// when somebody else takes the CPU down before it is told not to. Nothing can
// be undone then, and _cpu_down() warns ("DEAD callback error", kernel/cpu.c).
func onlyDead(s cpuState) bool { return strings.HasSuffix(strings.ToLower(s.name), ":dead") }
