// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"time"

	"plugstorm/harness/agent"
)

// PeerStressNG is what testers run.
var PeerStressNG = agent.Workloads.Register(&agent.Workload{
	Name:    "peer-stress-ng",
	Doc:     "stress-ng's stressors of CPU and memory hotplug (--cpu-online, --memhotplug) beside some of memory, looped; needs userland stress-ng",
	Touches: []string{"mm/memory_hotplug.c", "drivers/base/memory.c", "kernel/cpu.c", "drivers/base/core.c:online_store", "mm/memory.c"},
	Run: func(ctx context.Context, _ agent.Params, m agent.Meter) error {
		p := peerProgram{
			name: "peer-stress-ng", limit: 10 * time.Minute,
			argv: [][]string{{"/bin/stress-ng", "--temp-path", "/tmp", "--cpu-online", "1", "--memhotplug", "1", "--vm", "1", "--vm-bytes", "64M", "--timeout", "20s"}},
			env:  []string{"LD_LIBRARY_PATH=/usr/lib"},
			// 2: a stressor failed, 3: could not start for lack of resources
			// (stress-ng(1), EXIT STATUS); a machine that is being torn at does that.
			codes: []int{2, 3},
		}
		return p.run(ctx, m)
	},
})
