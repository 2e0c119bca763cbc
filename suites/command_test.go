// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"plugstorm/harness/vm"
)

// A result is the part of `run --json` that specs look at (docs/json.md).
type result struct {
	Status   string
	Machines []struct {
		Machine  string
		Ops      map[string]map[string]int
		Findings []finding
		Calls    *struct{ Fired int }
		Reach    *struct {
			Run     int
			Warning string
		}
		Faults []struct {
			Slot        int
			Party, Text string
		}
		Starts []struct {
			Slot       int
			Restored   bool
			Snapshot   []string
			PrivateMiB int `json:"private_mib"`
		}
		Slots []struct {
			Slot   int
			Status string
			Why    []string
			Guests int
			RunDir string `json:"run_dir"`
		}
	}
	RunDir string `json:"run_dir"`
}

type finding struct {
	Title, Type, Identity, Known string
	AtS                          float64 `json:"at_s"`
	Stack, Locks                 []string
}

// unknown lists the findings that no known issue explains.
func (r result) unknown() []finding {
	var all []finding
	for _, m := range r.Machines {
		for _, f := range m.Findings {
			if f.Known == "" {
				all = append(all, f)
			}
		}
	}
	return all
}

// faults lists what went wrong and wasn't the kernel's.
func (r result) faults() string {
	var all []string
	for _, m := range r.Machines {
		for _, f := range m.Faults {
			all = append(all, f.Party+": "+f.Text)
		}
	}
	return strings.Join(all, "\n")
}

// start starts the command with --json. It leads a process group of its own,
// and ends with this process. A run has one guest at a time unless its spec says
// otherwise, however large the host is.
func start(args ...string) (*exec.Cmd, *bytes.Buffer) {
	GinkgoHelper()
	if args[0] == "run" && !slices.Contains(args, "--vms") {
		args = append(args, "--vms", "1")
	}
	cmd := exec.Command(plugstormPath, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, GinkgoWriter
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	fmt.Fprintln(GinkgoWriter, "reproduce:", vm.Shell(append([]string{"plugstorm"}, args...)...))
	Expect(cmd.Start()).To(Succeed())
	return cmd, &out
}

// finish waits for a started command and reads its JSON.
func finish(cmd *exec.Cmd, out *bytes.Buffer) (code int, r result) {
	GinkgoHelper()
	_ = cmd.Wait() // the exit code tells
	code = cmd.ProcessState.ExitCode()
	if out.Len() > 0 {
		Expect(json.Unmarshal(out.Bytes(), &r)).To(Succeed(), out.String())
	}
	fmt.Fprintf(GinkgoWriter, "exit %d: %s\n", code, out)
	return code, r
}

// plugstorm runs the command to its end.
func plugstorm(args ...string) (int, result) {
	GinkgoHelper()
	return finish(start(args...))
}

// prepareKernel builds a machine's unmodified kernel. Specs that wait for what a
// run does call it first: compiling takes as long as it takes.
func prepareKernel(machine string) {
	GinkgoHelper()
	cmd, out := start("images", "build", "--machine", machine)
	Expect(cmd.Wait()).To(Succeed(), out.String())
}

// tryRun is plugstorm run --json into a new run directory, once more if the first
// is unknown: whoever lost that guest, it says nothing about the kernel. The
// lost run is kept and reported.
func tryRun(args ...string) (dir string, code int, r result) {
	GinkgoHelper()
	for range 2 {
		dir = newRunDir()
		if code, r = plugstorm(append([]string{"run", "--json", "--out", dir}, args...)...); code != 3 {
			break
		}
		AddReportEntry("unknown", r.faults())
		Expect(os.WriteFile(filepath.Join(filepath.Dir(dir), keepFile), nil, 0o644)).To(Succeed())
	}
	return dir, code, r
}

// keepFile marks a directory that is kept although its spec passes.
const keepFile = "keep"

// newRunDir names a run directory that is kept when the spec fails.
func newRunDir() string {
	GinkgoHelper()
	dir, err := os.MkdirTemp("", "plugstorm-spec-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		if _, err := os.Stat(filepath.Join(dir, keepFile)); err == nil || CurrentSpecReport().Failed() {
			AddReportEntry("run directory", dir)
			return
		}
		Expect(os.RemoveAll(dir)).To(Succeed())
	})
	return filepath.Join(dir, "run")
}
