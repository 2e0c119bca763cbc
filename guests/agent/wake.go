// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
)

const entropyMin = 32 // bytes: POOL_READY_BITS of drivers/char/random.c

// wake makes this guest's random numbers and clock its own, and measures how
// fast it is.
func (a *guestAgent) wake(p agent.WakeParams) (any, error) {
	if len(p.Entropy) < entropyMin {
		return nil, fmt.Errorf("%d bytes of entropy are too few", len(p.Entropy))
	}
	if err := a.stir(a.tree.Path("dev/urandom"), p.Entropy); err != nil {
		return nil, err
	}
	if err := a.setClock(unix.NsecToTimespec(p.UnixNS)); err != nil {
		return nil, fmt.Errorf("set the clock: %w", err)
	}
	return agent.WakeReply{WorkNS: measureWork(), UptimeMS: uptimeMS()}, nil
}

// stir adds entropy to the kernel's pool and has all its generators, those of
// single CPUs included, seeded anew from it (drivers/char/random.c
// random_ioctl, crng_reseed).
func stir(device string, entropy []byte) error {
	f, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	// struct rand_pool_info: int entropy_count (bits), int buf_size (bytes), then
	// the bytes.
	info := binary.NativeEndian.AppendUint32(nil, uint32(8*len(entropy)))
	info = binary.NativeEndian.AppendUint32(info, uint32(len(entropy)))
	info = append(info, entropy...)
	if err := ioctl(f, unix.RNDADDENTROPY, unsafe.Pointer(&info[0])); err != nil {
		return fmt.Errorf("RNDADDENTROPY: %w", err)
	}
	if err := ioctl(f, unix.RNDRESEEDCRNG, nil); err != nil {
		return fmt.Errorf("RNDRESEEDCRNG: %w", err)
	}
	return nil
}

func ioctl(f *os.File, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

func setClock(now unix.Timespec) error { return unix.ClockSettime(unix.CLOCK_REALTIME, &now) }

const (
	workRounds = 3
	workLoops  = 500_000
	workRest   = time.Millisecond
)

// measureWork does the same piece of work again and again, and says how long it
// took each time, in nanoseconds. It rests in between, so that the rounds are
// spread over more than one time slice of the host's, and so that a kernel
// whose timers are dead doesn't come to the end.
func measureWork() []int64 {
	var all []int64
	for range workRounds {
		time.Sleep(workRest)
		start := time.Now()
		workSink = work(workSink)
		all = append(all, time.Since(start).Nanoseconds())
	}
	return all
}

// workSink keeps the compiler from leaving the work out.
var workSink uint64 = 1

// work is integer arithmetic, a dependent chain: as slow as the CPU is.
func work(x uint64) uint64 {
	for range workLoops {
		x ^= x << 13 // xorshift64 (Marsaglia 2003)
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}
