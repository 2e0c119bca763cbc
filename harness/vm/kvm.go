// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/blame"
	"plugstorm/harness/console"
)

// Usable says whether an accelerator works on this host, and why not.
type Usable struct {
	OK  bool   `json:"ok"`
	Why string `json:"why,omitempty"`
}

// ProbeKVM finds out whether KVM can run a machine on this host. A /dev/kvm
// that opens and answers proves nothing: nested and emulated ones have been
// seen in which a kernel spins for ever. So a guest is booted with the given
// kernel until its agent says hello or the deadline passes. The answer is kept
// in cacheFile, per host kernel, QEMU and machine.
//
// The error is about the probe itself, ctx's end for instance.
func ProbeKVM(ctx context.Context, s Spec, cacheFile string, deadline time.Duration) (Usable, error) {
	if s.Machine.KVMOn != runtime.GOARCH {
		return Usable{Why: fmt.Sprintf("a %s host can't run it", runtime.GOARCH)}, nil
	}
	if err := unix.Access("/dev/kvm", unix.R_OK|unix.W_OK); err != nil {
		return Usable{Why: "/dev/kvm: " + err.Error()}, nil
	}
	answers := readAnswers(cacheFile)
	key := probeKey(s)
	if answer, ok := answers[key]; ok {
		return answer, nil
	}
	answer, err := bootUnderKVM(ctx, s, deadline)
	if err != nil {
		return answer, err
	}
	answers[key] = answer
	return answer, writeAnswers(cacheFile, answers)
}

// probeKey names what an answer depends on.
func probeKey(s Spec) string {
	var host unix.Utsname
	_ = unix.Uname(&host) // can't fail on a valid pointer
	return fmt.Sprintf("%s, QEMU %s, host %s", s.Machine.Name, s.Version, unix.ByteSliceToString(host.Release[:]))
}

func bootUnderKVM(ctx context.Context, s Spec, deadline time.Duration) (Usable, error) {
	dir, err := os.MkdirTemp("", "plugstorm-kvm-")
	if err != nil {
		return Usable{}, blame.On(blame.Host, err, "set TMPDIR to a directory that can be written to")
	}
	defer os.RemoveAll(dir)
	s.Accel, s.Dir, s.Console = KVM, dir, func(console.Chunk) error { return nil }
	short, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	v, err := QEMU.Start(short, s)
	if err != nil {
		return Usable{Why: err.Error()}, ctx.Err()
	}
	defer v.Close()
	if _, err := v.WaitAgent(short); err != nil {
		return Usable{Why: fmt.Sprintf("a guest did not boot within %s", deadline)}, ctx.Err()
	}
	return Usable{OK: true}, nil
}

// readAnswers reads earlier answers. A cache that can't be read is empty.
func readAnswers(file string) map[string]Usable {
	answers := map[string]Usable{}
	if data, err := os.ReadFile(file); err == nil {
		_ = json.Unmarshal(data, &answers)
	}
	return answers
}

func writeAnswers(file string, answers map[string]Usable) error {
	data, err := json.MarshalIndent(answers, "", "  ")
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.part")
	if err != nil {
		return blame.On(blame.Host, err, "")
	}
	defer os.Remove(temp.Name()) // gone already when all went well
	_, err = temp.Write(append(data, '\n'))
	if closing := temp.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	return blame.On(blame.Host, err, "")
}

// KnownKVM returns what ProbeKVM found out earlier about a machine on this
// host, without a new probe.
func KnownKVM(s Spec, cacheFile string) (Usable, bool) {
	answer, ok := readAnswers(cacheFile)[probeKey(s)]
	return answer, ok
}
