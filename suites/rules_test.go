// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"encoding/json"
	"os/exec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// A lock that a plant leaves out is missed at the first call, and what changed
// between the two kernels is that lock and nothing else.
var _ = DescribeTable("the rule checker misses a lock",
	func(machine string) {
		args := []string{"--machine", machine, "--suite", "smoke", "--seed", "1", "--duration", "20s"}
		sound, _, r := tryRun(append(args, "--baseline")...)
		Expect(r.unknown()).NotTo(ContainElement(HaveField("Type", "LOCKRULE")))

		planted, code, r := tryRun(append(args, "--plant", "s3a")...)
		Expect(code).To(Equal(1))
		for function, caller := range map[string]string{"online_pages": "memory_subsys_online", "offline_pages": "memory_subsys_offline"} {
			Expect(r.unknown()).To(ContainElement(And(
				HaveField("Identity", "lockrule: "+function+": mem_hotplug_lock required WRITE, not held"),
				HaveField("Stack", WithTransform(top, Equal([]string{function, caller}))),
				HaveField("Locks", ConsistOf("mem_hotplug_lock")))))
		}
		Expect(lockChanges(sound, planted)).To(And(HaveEach(HaveField("Lock", "mem_hotplug_lock")),
			ContainElement(lockChange{"online_pages", "mem_hotplug_lock", "always", "never", false}),
			ContainElement(lockChange{"offline_pages", "mem_hotplug_lock", "always", "never", false})))
	},
	Entry("x86_64", Label("x86_64", "plant", "rules"), "x86_64"),
	Entry("pseries", Label("pseries", "plant", "rules"), "pseries"),
)

// top is where a stack begins.
func top(stack []string) []string { return stack[:min(2, len(stack))] }

type lockChange struct {
	Func, Lock, Before, After string
	Chance                    bool
}

// lockChanges are the changes of locks between two runs that aren't chance.
func lockChanges(before, after string) []lockChange {
	GinkgoHelper()
	out, err := exec.Command(plugstormPath, "locks", "--diff", "--json", before, after).Output()
	Expect(err).NotTo(HaveOccurred())
	var diff struct {
		Machines []struct{ Changes []lockChange }
	}
	Expect(json.Unmarshal(out, &diff)).To(Succeed(), "%s", out)
	var sure []lockChange
	for _, m := range diff.Machines {
		for _, c := range m.Changes {
			if !c.Chance {
				sure = append(sure, c)
			}
		}
	}
	return sure
}
