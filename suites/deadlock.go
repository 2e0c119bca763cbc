// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// Hangs are the scenarios that break their guest on purpose, the only ones
// that an unmodified kernel doesn't survive.
var Hangs = hangs()

// hangs registers hang-KIND for each deadlock that our module can make, and
// one that lockdep is allowed to see.
func hangs() []*schedule.Scenario {
	var all []*schedule.Scenario
	for kind, name := range workloads.Deadlocks {
		all = append(all, hang("hang-"+name, "a deadlock of our own module ("+name+"), to prove that hangs are found and explained", map[string]int64{"kind": int64(kind)}))
	}
	return append(all, hang("hang-validated", "hang-"+workloads.Deadlocks[0]+" with its lock order in lockdep's sight, which then speaks first", map[string]int64{"kind": 0, "validate": 1}))
}

// hang registers a scenario of nothing but one deadlock. It ends when khungtaskd
// has spoken, half a minute after the boot on an idle host; its length is for a
// slow guest.
func hang(name, doc string, options map[string]int64) *schedule.Scenario {
	return schedule.Scenarios.Register(&schedule.Scenario{
		Name: name, Doc: doc, Length: 3 * time.Minute, First: true, NoRules: true,
		Workloads: []op.WorkloadStart{{
			ID: "all-" + workloads.Deadlock.Name, Name: workloads.Deadlock.Name, Params: agent.Params{Options: options},
		}},
	})
}
