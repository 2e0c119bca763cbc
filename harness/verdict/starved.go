// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/harness/splat"
)

// A guest whose QEMU waited for a CPU of the host for more than starvedShare
// of the time that it wanted one, over the starvedWindow before a complaint,
// is starved: what it then says about time is the host's fault.
const (
	starvedShare  = 0.5
	starvedWindow = 60 * time.Second
)

// A sample says how starved a guest was over the time up to at.
type sample struct {
	at    time.Duration
	share float64
}

// starved is the mean share of starvation over the window before a time.
func (g *guestTrace) starved(at time.Duration) float64 {
	sum, n := 0.0, 0
	for _, s := range g.host {
		if s.at > at-starvedWindow && s.at <= at+starvedWindow/10 {
			sum += s.share
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// aboutTime reports whether a complaint says that something took too long. A
// stuck worker pool (kernel/workqueue.c wq_watchdog_timer_fn) has no class in
// syzbot's vocabulary.
func aboutTime(f splat.Finding) bool {
	return f.Type == splat.TypeHang || f.Detector == "workqueue_lockup"
}

// An excuseKey is a complaint of a guest. One that comes every few seconds is
// filed once.
type excuseKey struct {
	guest int
	title string
}

// excuse files a complaint about time from a starved guest as the host's
// fault, and reports whether it did. Other complaints are as true on a busy
// host as on an idle one, and so is a cycle of tasks that wait for each other:
// no amount of time ends it. Tasks that were stuck after the storm had time, by
// the tempo that the guest had then, with nobody asking anything of it.
func (j *judge) excuse(number int, at time.Duration, f splat.Finding) bool {
	g := j.guest(number)
	share := g.starved(at)
	proven := f.Waits != nil && len(f.Waits.Cycle) > 0 || g.stuck != nil && at >= g.stuck.At
	if !aboutTime(f) || proven || share <= starvedShare {
		return false
	}
	key := excuseKey{number, f.Title}
	if j.excused[key] {
		return true
	}
	j.excused[key] = true
	j.verdict.Faults = append(j.verdict.Faults, Fault{
		At: at, Party: string(blame.Host),
		Text: fmt.Sprintf("guest %d: %q is not to be trusted: for %.0f %% of the time before it, QEMU waited for a CPU of the host", number, f.Title, 100*share),
		Next: "run again on a host with less other load",
	})
	return true
}
