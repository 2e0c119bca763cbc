// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/history"
)

// hostEvery is how often the history says how the host treats QEMU.
const hostEvery = 5 * time.Second

// watchHost records how much CPU time QEMU wanted and did not get, and how much
// memory it has, and what we take ourselves. The kernel in the guest can't tell a
// starved host from a stuck CPU; the judge can.
func (g *guest) watchHost() {
	ticker := time.NewTicker(hostEvery)
	defer ticker.Stop()
	last, since := g.vm.HostTime(), time.Now()
	for {
		select {
		case <-g.vm.Ended(): // not with the storm: what is said after it is about time, too
			return
		case <-ticker.C:
		}
		now, at := g.vm.HostTime(), time.Now()
		starved := now.Starved(last)
		g.vm.NoteStarved(starved)
		private := g.vm.Private()
		g.fares(now, starved, private)
		memory, cpu := ourselves()
		g.history.AddAt(at, history.Event{
			Type: history.Host, Guest: g.number, Starved: starved, CPUs: now.CPUs(last, at.Sub(since)), Private: private,
			Controller: memory, ControllerCPU: cpu,
		})
		last, since = now, at
	}
}

// ourselves is how much resident memory this process has, in bytes, and how much
// CPU time its threads have taken, in user space and in the kernel; 0 where the
// host doesn't tell (proc(5), statm; getrusage(2)).
func ourselves() (memory int64, cpu time.Duration) {
	var size, resident int64
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if _, err := fmt.Sscan(string(text), &size, &resident); err == nil {
			memory = resident * int64(os.Getpagesize())
		}
	}
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) == nil {
		cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return memory, cpu
}
