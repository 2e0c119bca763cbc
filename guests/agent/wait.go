// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"

	"plugstorm/harness/agent"
)

// Waiting for devices. The host need not ask again and again over a slow
// channel, and yet we look again and again here: the kernel tells of devices in
// uevents, but a listener, even one, makes each of them an allocation and a
// wake-up between two steps of the hotplug that is tested (lib/kobject_uevent.c
// uevent_net_broadcast_untagged). Reading an attribute is lighter.

const (
	waitMax  = 10 * time.Second // whatever the host asks for: its call may be long gone
	lookSoon = 2 * time.Millisecond
	lookLate = 20 * time.Millisecond
)

// until looks at devices, less and less often, until what is seen is good or ms
// milliseconds are over, and returns the last look.
func until[R any](ms int64, look func() (R, error), good func(R) bool) (R, error) {
	end := time.Now().Add(min(time.Duration(ms)*time.Millisecond, waitMax))
	for pause := lookSoon; ; pause = min(2*pause, lookLate) {
		seen, err := look()
		if err != nil || good(seen) || !time.Now().Before(end) {
			return seen, err
		}
		time.Sleep(min(pause, time.Until(end)))
	}
}

// awaitMemory waits as its params say.
func (a *guestAgent) awaitMemory(p agent.MemoryParams) (any, error) {
	look := func() (agent.MemoryReply, error) { return a.memory(p) }
	return until(p.WaitMS, look, func(m agent.MemoryReply) bool {
		offline := slices.ContainsFunc(m.Blocks, func(b agent.Block) bool { return b.State != "online" })
		return m.Present && (!p.Online || !offline)
	})
}

// awaitCPUs waits as its params say.
func (a *guestAgent) awaitCPUs(p agent.CPUsParams) (any, error) {
	return until(p.WaitMS, a.cpus, func(r agent.CPUsReply) bool {
		return !slices.Equal(r.Present, p.Present) || !slices.Equal(r.Online, p.Online)
	})
}
