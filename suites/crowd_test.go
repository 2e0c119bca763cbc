// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"slices"
	"testing"

	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// TestModulesOnce: no suite draws a workload whose module somebody else may
// have loaded: it would end by itself, and the run as unknown. module-churn
// lets others win.
func TestModulesOnce(t *testing.T) {
	for _, s := range schedule.Scenarios.All() {
		for _, lane := range s.Lanes {
			for _, w := range lane.Workloads {
				if len(w.Modules) == 0 || w == workloads.ModuleChurn {
					continue
				}
				if lane.AtOnce > 1 {
					t.Errorf("%s: lane %s may draw %s twice at once", s.Name, lane.Name, w.Name)
				}
				if len(s.Parts) == 0 && slices.ContainsFunc(s.Workloads, func(o op.WorkloadStart) bool { return o.Name == w.Name }) {
					t.Errorf("%s: lane %s draws %s, which runs anyway", s.Name, lane.Name, w.Name)
				}
			}
		}
	}
}
