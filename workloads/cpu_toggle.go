// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"math/rand/v2"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

var cpuOptions = map[string]int64{"first": 1, "last": 1}

// CPUToggle takes CPUs offline and online through sysfs.
var CPUToggle = agent.Workloads.Register(&agent.Workload{
	Name: "cpu-toggle",
	Doc: "offlines and onlines random CPUs through cpuN/online: cpu_hotplug_lock for writing with the whole " +
		"cpuhp state machine under it (slab_mutex, pcp_batch_high_lock, pcpu_alloc_mutex, workqueue locks); " +
		"options first and last (default 1): the CPUs it may take",
	Touches: append([]string{"drivers/base/core.c:online_store"}, cpuSteps...),
	Options: cpuOptions,
	Run:     cpuToggle{tree: guest}.run,
})

type cpuToggle struct{ tree sysfs.Tree }

func (c cpuToggle) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	first := int(p.Option("first", cpuOptions["first"]))
	last := int(p.Option("last", cpuOptions["last"]))
	l := loop{params: p, meter: m, threads: 1, refuses: hotplugRefusals}
	return l.run(ctx, same(func(ctx context.Context, rng *rand.Rand) error {
		present, err := c.tree.CPUs("present")
		if err != nil {
			return err
		}
		var ours []int
		for _, cpu := range present {
			if cpu >= first && cpu <= last {
				ours = append(ours, cpu)
			}
		}
		cpu, err := pick(rng, ours)
		if err != nil {
			return err
		}
		return c.toggle(ctx, cpu)
	}))
}

// toggle leaves the CPU online, as blockToggle.toggle does its block.
func (c cpuToggle) toggle(ctx context.Context, cpu int) error {
	offErr := c.tree.SetCPU(ctx, cpu, false)
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	return errors.Join(offErr, c.tree.SetCPU(settle, cpu, true))
}
