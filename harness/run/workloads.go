// SPDX-License-Identifier: Apache-2.0

package run

import (
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
)

// noteWorkload remembers a workload that a step is about to start, for it to be
// stopped at the end, whatever becomes of the step.
func (g *guest) noteWorkload(step schedule.Step) {
	if start, ok := step.Op.Op.(*op.WorkloadStart); ok {
		g.workloads.Store(start.ID, true)
	}
}

// dropWorkload forgets a workload that a step has stopped.
func (g *guest) dropWorkload(step schedule.Step) {
	if id, ok := op.Stops(step.Op.Op); ok {
		g.workloads.Delete(id)
	}
}
