// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"plugstorm/guests"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/suites"
)

// Every scenario on every default machine: an unmodified kernel shows nothing
// that our known-issues file doesn't explain, and the hotplug really happens.
var _ = Describe("an unmodified kernel", func() {
	for _, scenario := range schedule.Scenarios.All() {
		if slices.Contains(suites.Hangs, scenario) {
			continue // no kernel survives it
		}
		for _, machine := range guests.Default() {
			labels := Label(machine.Name, scenario.Name)
			if scenario.Name != "smoke" {
				labels = append(labels, "on-demand")
			}
			It("stays clean under "+scenario.Name+" on "+machine.Name, labels, func() {
				_, code, r := tryRun("--machine", machine.Name, "--suite", scenario.Name, "--seed", "1",
					"--duration", max(scenario.Length, time.Minute).String()) // a busy host does little in half a one
				Expect(r.unknown()).To(BeEmpty())
				Expect(r.faults()).To(BeEmpty())
				Expect(code).To(Equal(0))
				ops := r.Machines[0].Ops
				Expect(ops["dimm-add"]["done"]).To(BeNumerically(">", 2), "DIMMs were added")
				Expect(ops["dimm-remove"]["done"]+ops["dimm-evict"]["done"]).To(BeNumerically(">", 1), "DIMMs were removed")
				if does(scenario, op.CPUOffline) {
					Expect(ops["cpu-offline"]["done"]).To(BeNumerically(">", 1), "CPUs went offline")
				}
				if does(scenario, op.VCPUAdd) {
					Expect(ops["vcpu-add"]["done"]).To(BeNumerically(">", 0), "vCPUs were added")
				}
			})
		}
	}
})

// does reports whether a scenario draws ops of a kind.
func does(s *schedule.Scenario, kind *op.Kind) bool {
	return slices.ContainsFunc(s.Lanes, func(lane schedule.Lane) bool {
		return slices.ContainsFunc(lane.Mix, func(w schedule.Weight) bool { return w.Kind == kind })
	})
}
