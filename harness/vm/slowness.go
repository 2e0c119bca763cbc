// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"plugstorm/harness/agent"
)

// A Pace is how fast a guest was when it booted. A guest that is restored has
// no boot time of its own, so its slowness is the boot's, carried over to the
// host as it is now.
type Pace struct {
	Boot    time.Duration `json:"boot_ns"` // from QEMU's start to the agent's hello
	Starved float64       `json:"starved"` // of that, see HostTime
	Work    time.Duration `json:"work_ns"` // the agent's best round of work, right after the boot
}

// maxStarved bounds what a share of starvation stretches: by 20.
const maxStarved = 0.95

// unstarved is the boot's slowness on a host that would have given QEMU every
// CPU that it wanted.
func (p Pace) unstarved(m *Machine) float64 {
	return max(1, float64(p.Boot)*(1-min(p.Starved, maxStarved))/float64(m.BootReference))
}

// maxBusy bounds what the host's business at one moment stretches.
const maxBusy = 20

// slowness is that of a guest restored now: the boot's without what the host
// took from it then, times the worse of two signs of what it takes now. load is
// the number of runnable tasks per CPU of the host, 0 if unknown; work is what
// the restored guest took for its rounds, of which the median counts: one that
// the host interrupted says more about the length of its time slices. The
// comparison is with the best round then, so it errs on the side of slow: a
// deadline that is too long costs time, one that is too short makes a hang of
// nothing. A host that gets busier later is seen by tempo.sample.
func (p Pace) slowness(m *Machine, load float64, work []time.Duration) float64 {
	busy := max(1, load)
	if p.Work > 0 {
		busy = max(busy, float64(median(work))/float64(p.Work))
	}
	return p.unstarved(m) * min(busy, maxBusy)
}

// median is the upper one of the middle, 0 of none.
func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(d))[len(d)/2]
}

// best is the shortest of some durations, 0 of none.
func best(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	return slices.Min(d)
}

// rounds are the durations of the agent's work. The guest is not trusted: what
// is no duration counts as none.
func rounds(r agent.WakeReply) []time.Duration {
	var all []time.Duration
	for _, ns := range r.WorkNS {
		if ns > 0 && ns < int64(time.Hour) {
			all = append(all, time.Duration(ns))
		}
	}
	return all
}

// A tempo is what deadlines are stretched by, as far as it is known. The zero
// tempo is that of the reference host. It is safe for concurrent use.
type tempo struct {
	mu      sync.Mutex
	base    float64 // measured when the guest came up
	fair    float64 // the same, had the host given QEMU every CPU that it wanted
	starved float64 // of the time lately
}

func (t *tempo) set(base, fair float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.base, t.fair = base, fair
}

// fade is how much of the past's starvation a sample of less leaves: at one
// sample each five seconds, half of it is gone after half a minute.
const fade = 0.9

func (t *tempo) sample(starved float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.starved = min(maxStarved, max(starved, fade*t.starved+(1-fade)*starved))
}

func (t *tempo) slowness() float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(1, t.base, t.fair/(1-t.starved))
}

// HostLoad is the number of runnable tasks per CPU of this host, averaged over
// the last minute by its kernel; 0 if it doesn't tell.
func HostLoad() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	return parseLoad(string(text)) / float64(runtime.NumCPU())
}

func parseLoad(text string) float64 {
	var load float64
	if _, err := fmt.Sscan(text, &load); err != nil || load < 0 || math.IsInf(load, 0) || math.IsNaN(load) {
		return 0
	}
	return load
}
