// SPDX-License-Identifier: Apache-2.0

// Package suites holds the scenarios, a file each, and the Ginkgo suites that
// run them. They register themselves in schedule.Scenarios.
package suites

import (
	"plugstorm/harness/agent"
	"plugstorm/harness/op"
)

// workload names an instance of a workload that runs as long as the guest.
func workload(w *agent.Workload, rate, threads int) op.WorkloadStart {
	return op.WorkloadStart{ID: "all-" + w.Name, Name: w.Name, Params: agent.Params{Rate: rate, Threads: threads}}
}

// withOptions is w with options of its own.
func withOptions(w op.WorkloadStart, options map[string]int64) op.WorkloadStart {
	w.Params.Options = options
	return w
}
