// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"time"

	"plugstorm/harness/agent"
)

// PeerSelftests is what kernel developers run.
var PeerSelftests = agent.Workloads.Register(&agent.Workload{
	Name: "peer-selftests",
	Doc: "the kernel's own selftests, looped: memory-hotplug/mem-on-off-test.sh with notifier error injection, and cpu-hotplug/cpu-on-off-test.sh -a; " +
		"needs userland selftests",
	Touches: []string{"mm/memory_hotplug.c", "drivers/base/memory.c", "kernel/cpu.c", "drivers/base/core.c:online_store", "lib/memory-notifier-error-inject.c"},
	Run: func(ctx context.Context, _ agent.Params, m agent.Meter) error {
		p := peerProgram{
			name: "peer-selftests", limit: 10 * time.Minute,
			argv: [][]string{{"/bin/bash", "/selftests/mem-on-off-test.sh"}, {"/bin/bash", "/selftests/cpu-on-off-test.sh", "-a"}},
			// 1 is a test that failed: a block that stays busy, for one. 4 would be
			// "skipped" (kselftest.h KSFT_SKIP), which is not to look at all.
			codes: []int{1},
		}
		return p.run(ctx, m)
	},
})
