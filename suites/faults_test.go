// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"plugstorm/guests"
)

// patience is how long a spec waits for an event that comes within seconds on
// an idle machine.
const patience = 5 * time.Minute

// What isn't the kernel's fault is never a finding and never a pass.
var _ = Describe("when QEMU fails", Label("faults"), func() {
	for _, machine := range guests.Default() {
		It("names a QEMU that was killed on "+machine.Name, Label(machine.Name), func() {
			cmd, out, dir := startSmoke(machine.Name, "20s")
			Expect(syscall.Kill(qemuOf(dir), syscall.SIGKILL)).To(Succeed())
			code, r := finish(cmd, out)
			Expect(r.faults()).To(ContainSubstring("signal: killed"))
			Expect(r.unknown()).To(BeEmpty())
			Expect(code).To(Equal(3))
		})
	}

	It("names the assertion of a QEMU that died of a known defect", Label("pseries"), func() {
		code, r := plugstorm("run", "--json", "--machine", "pseries", "--ignore-defects", "--seed", "1", "--out", newRunDir())
		Expect(r.faults()).To(MatchRegexp("QEMU died: signal: aborted.*: .*[Aa]ssert"))
		Expect(r.unknown()).To(BeEmpty())
		Expect(code).To(Equal(3))
	})

	It("names a QEMU that was stopped", Label("x86_64"), func() {
		cmd, out, dir := startSmoke("x86_64", "45s")
		pid := qemuOf(dir)
		Expect(syscall.Kill(pid, syscall.SIGSTOP)).To(Succeed())
		code, r := finish(cmd, out)
		Expect(r.faults()).To(ContainSubstring("QEMU does not answer"))
		Expect(r.unknown()).To(BeEmpty())
		Expect(code).To(Equal(3))
		Expect(syscall.Kill(pid, 0)).To(MatchError(syscall.ESRCH), "the stopped QEMU is gone")
	})

	It("leaves no QEMU behind when the controller is killed", Label("x86_64"), func() {
		cmd, _, dir := startSmoke("x86_64", "10m")
		pid := qemuOf(dir)
		Expect(cmd.Process.Kill()).To(Succeed())
		_ = cmd.Wait()
		Eventually(func() error { return syscall.Kill(pid, 0) }).WithTimeout(patience).Should(MatchError(syscall.ESRCH))
		judged, err := exec.Command(plugstormPath, "judge", dir).CombinedOutput()
		Expect(string(judged)).To(ContainSubstring("the record stops before the run's end"))
		Expect(err).To(HaveField("ExitCode()", 3))
	})
})

// startSmoke starts a run and returns once its first step is under way.
func startSmoke(machine, duration string) (*exec.Cmd, *bytes.Buffer, string) {
	GinkgoHelper()
	prepareKernel(machine)
	dir := newRunDir()
	cmd, out := start("run", "--json", "--machine", machine, "--seed", "1", "--duration", duration, "--out", dir)
	Eventually(func() string {
		data, _ := os.ReadFile(filepath.Join(dir, machine, "history.ndjson"))
		return string(data)
	}).WithTimeout(patience).WithPolling(200 * time.Millisecond).Should(ContainSubstring(`"type":"step-end"`))
	return cmd, out, dir
}

// qemuOf finds the QEMU whose guest directory lies below a run directory.
func qemuOf(dir string) int {
	GinkgoHelper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	Expect(err).NotTo(HaveOccurred())
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err == nil && strings.HasPrefix(cwd, dir+"/") {
			pid, err := strconv.Atoi(strings.Split(link, "/")[2])
			Expect(err).NotTo(HaveOccurred())
			return pid
		}
	}
	Fail("no QEMU runs below " + dir)
	return 0
}
