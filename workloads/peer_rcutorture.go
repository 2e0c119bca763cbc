// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"time"

	"plugstorm/harness/agent"
)

// PeerRCUTorture is what RCU's developers run.
var PeerRCUTorture = agent.Workloads.Register(&agent.Workload{
	Name:    "peer-rcutorture",
	Doc:     "rcutorture with CPUs going offline and online (onoff_interval=200, as tools/testing/selftests/rcutorture/bin/kvm.sh has it); needs the kernel's modules torture and rcutorture",
	Touches: []string{"kernel/rcu/", "kernel/torture.c", "kernel/cpu.c"},
	Run: func(ctx context.Context, _ agent.Params, m agent.Meter) error {
		if err := LoadModule(ModuleDir, "torture", ""); err != nil {
			return err
		}
		if err := LoadModule(ModuleDir, "rcutorture", "onoff_interval=200 onoff_holdoff=0 stat_interval=15"); err != nil {
			return err
		}
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return UnloadModule("rcutorture")
			case <-tick.C:
				m.Done()
			}
		}
	},
})
