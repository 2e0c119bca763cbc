// SPDX-License-Identifier: Apache-2.0

package run

import (
	"time"

	"plugstorm/harness/history"
)

// hostEvery is how often the history says how the host treats QEMU.
const hostEvery = 5 * time.Second

// watchHost records how much CPU time QEMU wanted and did not get, and how much
// memory it has. The kernel in the guest can't tell a starved host from a stuck
// CPU; the judge can.
func (g *guest) watchHost() {
	ticker := time.NewTicker(hostEvery)
	defer ticker.Stop()
	last := g.vm.HostTime()
	for {
		select {
		case <-g.vm.Ended(): // not with the storm: what is said after it is about time, too
			return
		case <-ticker.C:
		}
		now := g.vm.HostTime()
		starved := now.Starved(last)
		g.vm.NoteStarved(starved)
		private := g.vm.Private()
		g.fares(now, starved, private)
		g.history.Add(history.Event{Type: history.Host, Guest: g.number, Starved: starved, Private: private})
		last = now
	}
}
