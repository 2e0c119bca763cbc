// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// The peers are what people use today. Nothing is done from outside; two
// DIMMs that are there at boot give them something to take offline.
var (
	PeerSelftests  = peer(workloads.PeerSelftests, "selftests")
	PeerStressNG   = peer(workloads.PeerStressNG, "stress-ng")
	PeerRCUTorture = peer(workloads.PeerRCUTorture, "")
)

func peer(w *agent.Workload, userland string) *schedule.Scenario {
	return schedule.Scenarios.Register(&schedule.Scenario{
		Name: w.Name, Doc: "for comparison (bench detect --peers): " + w.Doc, Length: 2 * time.Minute,
		Userland: userland, ColdDIMMs: 2, NoRules: true, // they hunt with what they have
		// A lane, so that its start is a step: a run in which none was done is unknown.
		Lanes: []schedule.Lane{{
			Name: "peer", Threads: 1, AtOnce: 1, Workloads: []*agent.Workload{w},
			Mix: []schedule.Weight{{Kind: op.WorkloadStartOp, Weight: 1}},
		}},
	})
}
