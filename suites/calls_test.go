// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// Calls of named functions fail in a real kernel, which survives it.
var _ = DescribeTable("named calls fail",
	func(machine string) {
		_, _, r := tryRun("--machine", machine, "--suite", "errors", "--seed", "1", "--duration", "40s")
		Expect(r.unknown()).To(BeEmpty())
		Expect(r.Machines[0].Calls).NotTo(BeNil())
		Expect(r.Machines[0].Calls.Fired).To(BeNumerically(">", 5))
	},
	Entry("x86_64", Label("x86_64", "errors", "vm", "on-demand"), "x86_64"),
	Entry("pseries", Label("pseries", "errors", "vm", "on-demand"), "pseries"),
)
