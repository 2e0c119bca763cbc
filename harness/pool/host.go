// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// coresPerGuest is how many CPUs of the host a guest has for itself when nobody
// says how many guests are to run.
const coresPerGuest = 2

// cores is how many CPUs we may use: NumCPU knows our affinity, GOMAXPROCS, as we
// find it, the CPU limit of our control group.
var cores = min(runtime.NumCPU(), runtime.GOMAXPROCS(0))

// guestsPerThread is how many guests one thread of ours is enough for: each takes some
// hundredths of a CPU.
const guestsPerThread = 8

// Thrift has the Go runtime run on few threads, as many as n guests need, until undo
// is called: a second one that is woken for every event, to find nothing left to do,
// costs more than the event, and the CPUs are the guests'.
func Thrift(n int) (undo func()) {
	before := runtime.GOMAXPROCS(min(cores, 1+n/guestsPerThread))
	return func() { runtime.GOMAXPROCS(before) }
}

// ThisHost is the host that we run on.
func ThisHost() Host {
	return Host{
		Cores:     cores,
		Available: func() int64 { return available("/proc/meminfo", "/sys/fs/cgroup") },
	}
}

// available is how many bytes of memory can be had without swapping: of the
// host, or of our control group if that has less left (a container sees its own
// as the root). It is 0 if the host doesn't tell.
func available(meminfo, cgroup string) int64 {
	text, err := os.ReadFile(meminfo)
	if err != nil {
		return 0
	}
	left := parseAvailable(string(text))
	most, limited := readBytes(filepath.Join(cgroup, "memory.max"))
	used, known := readBytes(filepath.Join(cgroup, "memory.current"))
	if left > 0 && limited && known {
		stat, _ := os.ReadFile(filepath.Join(cgroup, "memory.stat")) // without it nothing is taken for cache
		left = min(left, max(1, most-used+parseCache(string(stat))))
	}
	return left
}

// parseCache reads in a control group's memory.stat how many bytes of page cache
// can be had back at once.
func parseCache(stat string) int64 {
	for line := range strings.Lines(stat) {
		if value, ok := strings.CutPrefix(line, "inactive_file "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err != nil || n < 0 {
				return 0
			}
			return n
		}
	}
	return 0
}

// parseAvailable reads /proc/meminfo.
func parseAvailable(meminfo string) int64 {
	lines := bufio.NewScanner(strings.NewReader(meminfo))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 3 && fields[0] == "MemAvailable:" && fields[2] == "kB" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil || kib < 0 || kib > 1<<50 {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}

// readBytes reads a file of a control group that holds one number. There is
// none where it says "max".
func readBytes(file string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// Fit is how many guests of such a need run at once where nobody said how many.
func (h Host) Fit(need int64) int {
	n := h.Cores / coresPerGuest
	if left := h.Available() - spare; need > 0 {
		n = min(n, int(left/need))
	}
	return max(1, n)
}
