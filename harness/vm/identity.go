// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"plugstorm/harness/blame"
)

// snapshotFormat is raised when snapshots made before are no good any more.
const snapshotFormat = "snapshot 2"

// Identity lists all that decides whether a guest of this Spec may go on from
// a snapshot: two Specs with equal lists may share one. The kernel is named by
// its path and time stamp, the initramfs by its path, which both have to be
// unique to their content, as those in the cache are.
func Identity(s Spec) ([]string, error) {
	s.Incoming, s.Mapped = "", nil
	emulator, err := filepath.EvalSymlinks(s.Emulator)
	if err != nil {
		return nil, blame.On(blame.Host, err, "")
	}
	parts := []string{snapshotFormat, s.Machine.Name, s.Version.String()}
	for _, file := range []string{emulator, s.Kernel} {
		mark, err := fileMark(file)
		if err != nil {
			return nil, err
		}
		parts = append(parts, mark)
	}
	parts = append(parts, Args(&s)...)
	if while := s.savedWhile(); while != nil {
		parts = append(parts, "saved while "+while.String())
	}
	return append(parts, hostMark()), nil
}

// fileMark tells a file from what it was before or may be later.
func fileMark(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", blame.On(blame.Host, fmt.Errorf("%s: %w", path, err), "")
	}
	return fmt.Sprintf("%s %d bytes, changed %d", path, st.Size, st.Mtim.Nano()), nil
}

// hostMark is what a guest can see of the host's CPUs: a snapshot doesn't fit another
// kind, and need not fit another kernel's KVM. Under TCG it is how fast their time
// stamp counter runs (QEMU include/qemu/timer.h cpu_get_host_ticks): the guest has
// measured that before it was saved.
func hostMark() string {
	var host unix.Utsname
	_ = unix.Uname(&host) // can't fail on a valid pointer
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		text = nil
	}
	return unix.ByteSliceToString(host.Release[:]) + " " + cpuMark(string(text))
}

// cpuMark condenses /proc/cpuinfo: its lines that are about what CPUs can do.
func cpuMark(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "model name", "flags", "microcode", "cpu", "revision":
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	slices.Sort(lines)
	digest := sha256.Sum256([]byte(strings.Join(slices.Compact(lines), "\n")))
	return hex.EncodeToString(digest[:8])
}
