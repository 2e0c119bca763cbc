// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"plugstorm/harness/speed"
)

// hostFacts are what a host has.
func hostFacts() speed.Host {
	h := speed.Host{Cores: runtime.NumCPU(), CPU: hostCPU(), QEMU: map[string]string{}}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		h.MemMiB = int64(info.Totalram * uint64(info.Unit) >> 20)
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		h.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	return h
}

// hostBusiness is how busy the host was in the last minute.
func hostBusiness() speed.Business {
	return speed.Business{Load: parseField(readText("/proc/loadavg"), ""), Pressure: parsePressure(readText("/proc/pressure/cpu"), "avg60")}
}

func readText(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return string(text)
}

// parsePressure finds a mean in what the kernel says of pressure
// (Documentation/accounting/psi.rst); 0 if it isn't there.
func parsePressure(text, mean string) float64 {
	line, _, _ := strings.Cut(text, "\n")
	for _, field := range strings.Fields(line) {
		if value, ok := strings.CutPrefix(field, mean+"="); ok {
			return parseField(value, "")
		}
	}
	return 0
}

// parseField is the number in the first field of the first line that begins with a
// prefix; 0 if there is none.
func parseField(text, prefix string) float64 {
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), prefix)
		if !ok {
			continue
		}
		if fields := strings.Fields(rest); len(fields) > 0 {
			if v, err := strconv.ParseFloat(fields[0], 64); err == nil && v >= 0 {
				return v
			}
		}
		return 0
	}
	return 0
}

// memory is what a process takes, in MiB; 0 if it is gone.
type memory struct{ resident, peak, private float64 }

// peakOf is the most that a process has had resident, in MiB; 0 if it is gone.
func peakOf(pid int) float64 {
	return parseField(readText(fmt.Sprintf("/proc/%d/status", pid)), "VmHWM:") / 1024
}

func memoryOf(pid int) memory {
	status := readText(fmt.Sprintf("/proc/%d/status", pid))
	rollup := readText(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	return memory{
		resident: parseField(status, "VmRSS:") / 1024,
		peak:     peakOf(pid),
		private:  (parseField(rollup, "Private_Clean:") + parseField(rollup, "Private_Dirty:")) / 1024,
	}
}

// children lists the processes that a process's threads have started.
func children(pid int) []int {
	var all []int
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	for _, task := range tasks {
		for _, field := range strings.Fields(readText(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}
