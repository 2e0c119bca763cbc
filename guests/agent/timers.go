// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
)

// timers has a thread sleep for a millisecond on each CPU that is online, all of them
// at once, and says which don't wake up. How long that may take is measured by those
// sleepers, too: a timer of Go's runtime may be one of a CPU whose timer is dead.
func (a *guestAgent) timers(p agent.TimersParams) (any, error) {
	cpus, err := a.cpus()
	if err != nil {
		return nil, err
	}
	woken, over := make(chan int, len(cpus.Online)), make(chan struct{}, len(cpus.Online))
	var enough atomic.Bool
	defer enough.Store(true)
	for _, cpu := range cpus.Online {
		go func() {
			stayOn(cpu)
			sleep(time.Millisecond)
			woken <- cpu
			for left := time.Duration(p.LimitMS) * time.Millisecond; left > 0 && !enough.Load(); left -= timerStep {
				sleep(timerStep)
			}
			over <- struct{}{}
		}()
	}
	dead := slices.Clone(cpus.Online)
	for len(dead) > 0 {
		select {
		case cpu := <-woken:
			dead = slices.DeleteFunc(dead, func(c int) bool { return c == cpu })
		case <-over:
			return agent.TimersReply{Dead: dead}, nil
		}
	}
	return agent.TimersReply{Dead: dead}, nil
}

// timerStep is how often a sleeper looks whether it is still needed.
const timerStep = 50 * time.Millisecond

// stayOn has this goroutine's thread, which ends with it, run on one CPU only. Where
// that has gone offline meanwhile, its timer needs no look.
func stayOn(cpu int) {
	runtime.LockOSThread()
	var only unix.CPUSet
	only.Set(cpu)
	_ = unix.SchedSetaffinity(0, &only)
}

// sleep sleeps by the timer of the CPU that it is called on.
func sleep(d time.Duration) {
	left := unix.NsecToTimespec(d.Nanoseconds())
	for errors.Is(unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &left, &left), unix.EINTR) {
	}
}
