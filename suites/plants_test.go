// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
)

// Bugs that we plant are found, named rightly, and found again in a replay.
var _ = DescribeTable("a planted bug is caught and replayed",
	func(machine, plant string, expected types.GomegaMatcher) {
		dir, code, r := tryRun("--machine", machine, "--plant", plant, "--seed", "1")
		Expect(code).To(Equal(1))
		Expect(r.unknown()).To(ContainElement(expected))
		Expect(r.Machines).To(HaveEach(HaveField("Reach", And(HaveField("Run", BeNumerically(">", 0)), HaveField("Warning", "")))))

		code, again := plugstorm("replay", "--json", "--out", dir+"-again", dir)
		Expect(code).To(Equal(1))
		Expect(again.unknown()).To(ContainElement(expected))
	},
	Entry("s0a on pseries: HPT resize under stop_machine_cpuslocked", Label("pseries", "plant"), "pseries", "s0a",
		And(HaveField("Title", ContainSubstring("lockdep_assert_cpus_held")), HaveField("Stack", ContainElement("pseries_lpar_resize_hpt")))),
	Entry("s4d on x86_64: slab_mutex against cpu_hotplug_lock", Label("x86_64", "plant"), "x86_64", "s4d",
		And(HaveField("Type", "LOCKDEP"), HaveField("Locks", ContainElements("cpu_hotplug_lock", "slab_mutex")))),
)
