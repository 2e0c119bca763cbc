// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Private is how much of the host's memory QEMU has for itself alone, in bytes:
// the guest's memory as far as it was touched, translated code, and QEMU's own.
// It is 0 where the host doesn't tell (proc(5), smaps_rollup).
func (v *VM) Private() int64 {
	pid := v.process.PID()
	if pid == 0 {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0 // it has ended
	}
	return parsePrivate(string(text))
}

// parsePrivate adds up the private pages of smaps_rollup, clean and dirty.
func parsePrivate(rollup string) int64 {
	var sum int64
	for line := range strings.Lines(rollup) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != "kB" || (fields[0] != "Private_Clean:" && fields[0] != "Private_Dirty:") {
			continue
		}
		kib, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil || kib < 0 || kib > 1<<50 {
			return 0
		}
		sum += kib << 10
	}
	return sum
}
