// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

var racerOptions = map[string]int64{
	"contest": 40, // percent of blocks that go offline which are brought back at once
	"movable": 80, // percent of writes that ask for ZONE_MOVABLE
	"fifo":    1,  // real-time priority: the event's receiver runs before its sender goes on; 0 for none
}

// BlockRacer brings memory blocks online the moment they appear, as udev
// would, only sooner.
var BlockRacer = agent.Workloads.Register(&agent.Workload{
	Name: "block-racer",
	Doc: "listens to the kernel's events as udev does and brings a memory block online the moment it appears, through memoryN/online or " +
		"memoryN/state, several threads at once, while its adder is still at work: device_hotplug_lock, dev->mutex and mem_hotplug_lock, against the add and the " +
		"removal of memory; options contest (percent of blocks going offline that are brought back at once), movable (percent of writes that ask for ZONE_MOVABLE), fifo (1 for real-time priority)",
	Touches: []string{
		"drivers/base/memory.c:state_store", "drivers/base/core.c:online_store", "mm/memory_hotplug.c:online_pages", "mm/memory_hotplug.c:offline_pages",
		"drivers/base/memory.c:memory_block_online", "drivers/base/memory.c:memory_block_offline",
	},
	Options: racerOptions,
	Run:     blockRacer{tree: guest, listen: listenKernel}.run,
})

// A blockRacer answers each event of a memory block with writes.
type blockRacer struct {
	tree   sysfs.Tree
	listen func() (events, error)
}

// events is a source of the kernel's events, one message at a time.
type events interface {
	// next blocks for a while at most; no message is no error.
	next(buffer []byte) (n int, err error)
}

// racerLimit bounds a write: the guest may be busy offlining elsewhere.
const racerLimit = 10 * time.Second

func (b blockRacer) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	contest := int(p.Option("contest", racerOptions["contest"]))
	movable := int(p.Option("movable", racerOptions["movable"]))
	p.Rate = 0 // the kernel's events are the pace
	l := loop{params: p, meter: m, threads: 3, refuses: hotplugRefusals}
	return l.run(ctx, func(int) (round, error) {
		// The thread ends with the process: nothing else may run at its priority.
		runtime.LockOSThread()
		if p.Option("fifo", racerOptions["fifo"]) != 0 {
			if err := realTime(); err != nil {
				return nil, err
			}
		}
		source, err := b.listen()
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, rng *rand.Rand) error {
			e, err := awaited(ctx, source, rng, contest)
			if err != nil {
				return err
			}
			return b.online(ctx, e.block, rng, movable)
		}, nil
	})
}

// awaited waits for an event to answer; errIdle when ctx ends.
func awaited(ctx context.Context, source events, rng *rand.Rand, contest int) (blockEvent, error) {
	var buffer [eventBytes]byte
	for ctx.Err() == nil {
		n, err := source.next(buffer[:])
		if err != nil {
			return blockEvent{}, err
		}
		if e, ok := parseEvent(buffer[:n]); ok && e.races(rng, contest) {
			return e, nil
		}
	}
	return blockEvent{}, errIdle
}

// online writes one of the two attributes. EINVAL says that somebody else was
// faster.
func (b blockRacer) online(ctx context.Context, block uint64, rng *rand.Rand, movable int) error {
	ctx, cancel := context.WithTimeout(ctx, racerLimit)
	defer cancel()
	if rng.IntN(2) == 0 {
		return b.tree.SetBlock(ctx, block, "online", "1")
	}
	value := "online_movable"
	if rng.IntN(100) >= movable {
		value = []string{"online", "online_kernel"}[rng.IntN(2)]
	}
	return b.tree.SetBlock(ctx, block, "state", value)
}

// A blockEvent is what the kernel says of a memory block.
type blockEvent struct {
	action string
	block  uint64
}

// races reports whether the event is one to answer.
func (e blockEvent) races(rng *rand.Rand, contest int) bool {
	return e.action == "add" || e.action == "offline" && rng.IntN(100) < contest
}

var blockEventPath = []byte("@/devices/system/memory/memory")

// parseEvent reads the first line of an event ("add@/devices/system/memory/memory40",
// lib/kobject_uevent.c) and reports whether it is a memory block's.
func parseEvent(message []byte) (blockEvent, bool) {
	line, _, _ := bytes.Cut(message, []byte{0})
	action, digits, ok := bytes.Cut(line, blockEventPath)
	if !ok {
		return blockEvent{}, false
	}
	block, err := strconv.ParseUint(string(digits), 10, 32)
	return blockEvent{action: string(action), block: block}, err == nil
}

// eventBytes holds the longest event (include/linux/kobject.h UEVENT_BUFFER_SIZE) and its header.
const eventBytes = 4096

// listenPause bounds a wait for an event, so that a stop is noticed.
const listenPause = 200 * time.Millisecond

// kernelEvents is a netlink socket on which the kernel's events come. It ends
// with the process.
type kernelEvents struct{ fd int }

// kernelGroup is the multicast group of the kernel's own events (1), as
// opposed to udev's (2).
const kernelGroup = 1

// eventQueue is the socket's buffer in bytes: a burst of DIMMs fits.
const eventQueue = 1 << 20

func listenKernel() (events, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("socket of kernel events: %w", err)
	}
	wait := unix.NsecToTimeval(listenPause.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, eventQueue),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}))
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("socket of kernel events: %w", err)
	}
	return kernelEvents{fd}, nil
}

// next takes a lost event (ENOBUFS) for none: there will be others.
func (k kernelEvents) next(buffer []byte) (int, error) {
	n, _, err := unix.Recvfrom(k.fd, buffer, 0)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOBUFS):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("receive a kernel event: %w", err)
	}
	return n, nil
}

// realTime gives the calling thread the lowest real-time priority. With it the
// kernel switches to the receiver of an event inside the sender's call, at the
// point where the event is sent. Threads that this one starts don't inherit it.
func realTime() error {
	attr := unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		return fmt.Errorf("real-time priority: %w", err)
	}
	return nil
}
