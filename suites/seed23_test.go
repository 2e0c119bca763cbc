// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
)

// does reports whether a scenario draws ops of a kind.
func does(s *schedule.Scenario, kind *op.Kind) bool {
	return slices.ContainsFunc(s.Lanes, func(lane schedule.Lane) bool {
		return slices.ContainsFunc(lane.Mix, func(w schedule.Weight) bool { return w.Kind == kind })
	})
}

// brokenRule is a finding of the rule checker at one of some functions.
func brokenRule(functions string) types.GomegaMatcher {
	return And(HaveField("Type", "LOCKRULE"), HaveField("Title", MatchRegexp(functions)))
}

// hangOrFault is what comes of two who change one memory block: they wait for
// each other, or one finds what the other has not made yet, or has unmade.
func hangOrFault(functions string) types.GomegaMatcher {
	return And(HaveField("Type", Or(Equal("HANG"), Equal("BUG"), Equal("NULL-POINTER-DEREFERENCE"), Equal("MEMORY_SAFETY_BUG"))),
		HaveField("Stack", ContainElement(MatchRegexp(functions))))
}

// leftBehind is a lock that an error path has not released.
func leftBehind() types.GomegaMatcher {
	return And(HaveField("Type", Or(Equal("LOCKDEP"), Equal("HANG"))), Or(
		HaveField("Locks", ContainElement("mem_hotplug_lock")),
		HaveField("Stack", ContainElement("mem_hotplug_begin"))))
}

// ways on which memory comes and goes.
const blockWays = `online_pages|offline_pages|move_pfn_range_to_zone|add_memory|remove_memory|device_online|device_offline|default_kernel_zone_for_pfn|dlpar_(add|remove)_lmb`

// The hazards of two threads, each plant on each machine that it concerns.
var _ = DescribeTable("a plant is found by the suite of its thread",
	func(suite, machine, plant string, expected types.GomegaMatcher) {
		_, code, r := tryRun("--machine", machine, "--suite", suite, "--plant", plant, "--seed", "1", "--first", "--duration", "120s")
		Expect(code).To(Equal(1))
		Expect(r.unknown()).To(ContainElement(expected))
	},
	plantEntries("seed2", "s2a", Or(brokenRule("move_pfn_range_to_zone"), HaveField("Type", "ZONE"), HaveField("Stack", ContainElement("memremap_pages")))),
	plantEntries("seed2", "s2b", Or(brokenRule("arch_add_memory|arch_remove_memory|add_pages|__remove_pages|move_pfn_range_to_zone|remove_pfn_range_from_zone"),
		HaveField("Type", "ZONE"), HaveField("Stack", ContainElement(MatchRegexp("memremap_pages|memunmap_pages"))))),
	plantEntries("seed2", "s2c", And(HaveField("Type", "LOCKDEP"), HaveField("Locks", ContainElement(ContainSubstring("seqcount"))))),
	plantEntries("seed3", "s3a", brokenRule("online_pages|offline_pages|move_pfn_range_to_zone")),
	Entry("s3b on x86_64", Label("seed3", "x86_64", "s3b", "plant", "on-demand"), "seed3", "x86_64", "s3b", Or(brokenRule(blockWays), hangOrFault(blockWays))),
	Entry("s3c on pseries", Label("seed3", "pseries", "s3c", "plant", "on-demand"), "seed3", "pseries", "s3c", Or(brokenRule(blockWays), hangOrFault(blockWays))),
	plantEntries("seed3", "s3d", Or(brokenRule(blockWays), hangOrFault(blockWays))),
	plantEntries("seed3", "c20", And(HaveField("Type", "LOCKDEP"), HaveField("Locks", ContainElement("device_hotplug_lock")))),
	plantEntries("seed3", "c13", leftBehind()),
)

// cheap plants run with every `make vm`, one a suite.
var cheap = map[string]string{"s2c": "x86_64", "c13": "x86_64"}

// plantEntries makes an entry for each machine.
func plantEntries(suite, plant string, expected types.GomegaMatcher) []TableEntry {
	var all []TableEntry
	for _, machine := range []string{"x86_64", "pseries"} {
		labels := Label(suite, machine, plant, "plant")
		if cheap[plant] != machine {
			labels = append(labels, "on-demand")
		}
		all = append(all, Entry(plant+" on "+machine, labels, suite, machine, plant, expected))
	}
	return all
}
