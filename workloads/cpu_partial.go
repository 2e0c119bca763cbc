// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"math/rand/v2"

	"plugstorm/harness/agent"
)

// CPUPartial takes a CPU down to a random step and up again.
var CPUPartial = agent.Workloads.Register(&agent.Workload{
	Name: "cpu-partial",
	Doc: "takes a CPU down to a random step of CPU hotplug (cpuN/hotplug/target), leaves it there for a moment, goes to another one, and brings it back: " +
		"cpu_hotplug_lock, and CPUs that are neither online nor offline; options first and last (default 1): the CPUs it may take",
	Options: cpuOptions,
	Run:     cpuStates{tree: guest, round: partial}.run,
})

func partial(c cpuStates, ctx context.Context, cpu int, states []int, rng *rand.Rand) error {
	for range 2 {
		// EINVAL for a step at which nobody may stop.
		if err := c.set(ctx, cpu, "target", states[rng.IntN(len(states))]); err != nil && !refusedByHotplug(err) {
			return err
		}
	}
	return nil
}
