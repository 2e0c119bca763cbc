// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"plugstorm/guests"
	"plugstorm/harness/agent"
	"plugstorm/harness/console"
	"plugstorm/harness/history"
	"plugstorm/harness/vm"
	"plugstorm/suites"
)

// smokeOn runs the smoke suite for a moment.
func smokeOn(machine string) result {
	GinkgoHelper()
	_, code, r := tryRun("--machine", machine, "--suite", "smoke", "--seed", "1", "--duration", "8s")
	Expect(r.unknown()).To(BeEmpty())
	Expect(r.faults()).To(BeEmpty())
	Expect(code).To(Equal(0))
	Expect(r.Machines[0].Ops["dimm-add"]["done"]).To(BeNumerically(">", 0), "DIMMs were added")
	return r
}

var incoming = regexp.MustCompile(`-incoming file:(\S+)/state`)

// snapshotOf is the directory of the snapshot that a run's guest came from.
func snapshotOf(r result) string {
	GinkgoHelper()
	command, err := os.ReadFile(filepath.Join(r.RunDir, r.Machines[0].Machine, "guest-1", vm.CommandFile))
	Expect(err).NotTo(HaveOccurred())
	match := incoming.FindSubmatch(command)
	Expect(match).To(HaveLen(2), "%s", command)
	return string(match[1])
}

// restores is how many guests go on from one snapshot, one after the other. Each
// has to hear its host, again and again.
const restores = 5

// random restores a guest as a run did and has its kernel make a random number.
func random(r result, m *vm.Machine, snapshot string) string {
	GinkgoHelper()
	h, err := history.Read(filepath.Join(r.RunDir, m.Name))
	Expect(err).NotTo(HaveOccurred())
	emulator, version, err := vm.Emulator(context.Background(), m)
	Expect(err).NotTo(HaveOccurred())
	s, err := vm.OpenSnapshot(snapshot)
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	v, _, err := vm.Restore(ctx, vm.QEMU, vm.Spec{
		Machine: m, Accel: vm.Accel(h.Case.Accel), Emulator: emulator, Version: version, Kernel: h.Case.Kernel.Image,
		Initramfs: h.Case.Kernel.Initramfs, KernelArgs: suites.Smoke.KernelArgs, Savable: true, Dir: GinkgoT().TempDir(),
		Console: func(console.Chunk) error { return nil },
	}, s, vm.HostLoad())
	Expect(err).NotTo(HaveOccurred())
	defer v.Close()
	for range 20 {
		Expect(v.Agent.Call(ctx, agent.MethodPing, nil, nil)).To(Succeed())
	}
	var uuid agent.FileReply
	Expect(v.Agent.Call(ctx, agent.MethodReadFile, agent.FileParams{Path: "/proc/sys/kernel/random/uuid"}, &uuid)).To(Succeed())
	return uuid.Data
}

// A guest boots once, and others go on from there: they take hotplug as one
// that booted does, and a snapshot that is damaged is made anew.
var _ = Describe("a snapshot", func() {
	for _, machine := range guests.Default() {
		It("is saved, used, and thrown away when it is damaged on "+machine.Name, Label(machine.Name, "snapshot"), func() {
			first := smokeOn(machine.Name) // saves one if there is none
			if why := first.Machines[0].Starts[0].Snapshot; len(why) > 0 && strings.HasPrefix(why[0], "not used: ") {
				h, err := history.Read(filepath.Join(first.RunDir, machine.Name))
				Expect(err).NotTo(HaveOccurred())
				_, version, err := vm.Emulator(context.Background(), machine)
				Expect(err).NotTo(HaveOccurred())
				Expect(vm.CanSnapshot(machine, vm.Accel(h.Case.Accel), version)).NotTo(Succeed(), "%v", why)
				return // it boots, and says why
			}
			second := smokeOn(machine.Name)
			start := second.Machines[0].Starts[0]
			Expect(start.Restored).To(BeTrue(), "restored: %v", start.Snapshot)
			dir := snapshotOf(second)
			boot, err := os.ReadFile(filepath.Join(second.RunDir, machine.Name, "guest-1", vm.BootLog))
			Expect(err).NotTo(HaveOccurred())
			Expect(string(boot)).To(ContainSubstring("Linux version"))

			drawn := map[string]bool{}
			for range restores {
				number := random(second, machine, dir)
				Expect(number).To(HaveLen(len("01234567-89ab-cdef-0123-456789abcdef\n")))
				Expect(drawn).NotTo(HaveKey(number), "random numbers of two guests from one snapshot")
				drawn[number] = true
			}

			state := filepath.Join(dir, "state")
			info, err := os.Stat(state)
			Expect(err).NotTo(HaveOccurred())
			Expect(os.Truncate(state, info.Size()/2)).To(Succeed())
			// One attempt, whatever comes of its steps: another one would be restored.
			_, damaged := plugstorm("run", "--json", "--out", newRunDir(), "--machine", machine.Name, "--suite", "smoke", "--seed", "1", "--duration", "8s")
			third := damaged.Machines[0].Starts
			Expect(third).To(HaveLen(1))
			Expect(third[0].Restored).To(BeFalse())
			Expect(third[0].Snapshot).To(ConsistOf(HavePrefix("thrown away: "), HavePrefix("saved in ")))
			Expect(smokeOn(machine.Name).Machines[0].Starts[0].Restored).To(BeTrue())
		})
	}
})
