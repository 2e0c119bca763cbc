// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"plugstorm/guests"
)

// stepsIn counts the steps that a slot has recorded the end of, in a guest.
func stepsIn(slot, guest string) int {
	data, _ := os.ReadFile(filepath.Join(slot, "history.ndjson"))
	n := 0
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, `"type":"step-end","guest":`+guest+`,`) {
			n++
		}
	}
	return n
}

// Two guests under one controller, from one snapshot where QEMU can: what kills
// one of them is no matter of the other's.
var _ = Describe("a pool", Label("pool"), func() {
	for _, machine := range guests.Default() {
		labels, duration := Label(machine.Name), "20s"
		if machine != guests.X8664 {
			labels, duration = append(labels, "on-demand"), "2m" // guests that boot, one after the other, take their time
		}
		It("loses one guest and not the other on "+machine.Name, labels, func() {
			dir := newRunDir()
			prepareKernel(machine.Name)
			cmd, out := start("run", "--json", "--machine", machine.Name, "--seed", "1", "--vms", "2", "--duration", duration, "--out", dir)
			one, other := filepath.Join(dir, machine.Name, "slot-1"), filepath.Join(dir, machine.Name, "slot-2")
			for _, slot := range []string{one, other} {
				Eventually(stepsIn).WithArguments(slot, "1").WithTimeout(patience).WithPolling(100 * time.Millisecond).Should(BeNumerically(">", 0))
			}
			Expect(syscall.Kill(qemuOf(one), syscall.SIGKILL)).To(Succeed())
			before := stepsIn(other, "1")
			code, r := finish(cmd, out)
			m := r.Machines[0]
			Expect(r.unknown()).To(BeEmpty())
			Expect(code).To(Equal(3), "unknown never passes, whatever the other slot says")
			Expect(m.Faults).To(HaveLen(1))
			Expect(m.Faults[0]).To(And(HaveField("Slot", 1), HaveField("Text", ContainSubstring("signal: killed"))))
			Expect(m.Slots).To(HaveLen(2))
			Expect(m.Slots[0].Status).To(Equal("unknown"))
			Expect(m.Slots[1].Status).To(Equal("clean"), "the other slot noticed")
			Expect(stepsIn(other, "1")).To(BeNumerically(">", before), "the other guest went on")
			Expect(m.Starts).To(ContainElement(And(HaveField("Slot", 2), HaveField("PrivateMiB", BeNumerically(">", 0)))), "memory is measured now and then, not of those who end at once")
			code, r = plugstorm("judge", "--json", other)
			Expect(r.Status).To(Equal("clean"), "the slot as a run of its own")
			Expect(code).To(Equal(0))
		})
	}
})
