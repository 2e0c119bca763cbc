// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
)

// Waiting for devices: the kernel tells of each that comes, goes, or changes
// its state (lib/kobject_uevent.c), so the host need not ask again and again.

const (
	waitMax  = 10 * time.Second       // whatever the host asks for: its call may be long gone
	waitLook = 200 * time.Millisecond // between two looks at what no event told of: the socket's buffer may have been full
	waitDeaf = 5 * time.Millisecond   // the same in a kernel without such events (CONFIG_NET)
)

// until looks at devices until what is seen is good, or ms milliseconds are
// over, and returns the last look. It looks again after each event of a device
// whose path begins with prefix.
func until[R any](prefix string, ms int64, look func() (R, error), good func(R) bool) (R, error) {
	end := time.Now().Add(min(time.Duration(ms)*time.Millisecond, waitMax))
	seen, err := look()
	if err != nil || good(seen) || ms <= 0 {
		return seen, err
	}
	source := listen()
	defer source.close()
	for { // the first look may have been before the socket was there
		seen, err = look()
		if err != nil || good(seen) || !time.Now().Before(end) {
			return seen, err
		}
		source.wait(prefix, end)
	}
}

// uevents is a socket on which the kernel's events come; nil if there is none.
type uevents struct{ file *os.File }

// kernelGroup is the multicast group of the kernel's own events, as opposed to
// udev's.
const kernelGroup = 1

func listen() uevents {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return uevents{}
	}
	if unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}) != nil {
		unix.Close(fd)
		return uevents{}
	}
	return uevents{os.NewFile(uintptr(fd), "uevents")}
}

func (u uevents) close() {
	if u.file != nil {
		u.file.Close()
	}
}

// wait waits for an event of a device below prefix, and for waitLook or until
// end at most.
func (u uevents) wait(prefix string, end time.Time) {
	soon := time.Now().Add(waitLook)
	if end.Before(soon) {
		soon = end
	}
	if u.file == nil || u.file.SetReadDeadline(soon) != nil {
		time.Sleep(min(waitDeaf, time.Until(soon)))
		return
	}
	var buffer [4096]byte // include/linux/kobject.h UEVENT_BUFFER_SIZE and a header
	for {
		n, err := u.file.Read(buffer[:])
		switch {
		case errors.Is(err, unix.ENOBUFS): // events are lost
			return
		case err != nil: // mostly the deadline
			time.Sleep(min(waitDeaf, time.Until(soon)))
			return
		case strings.HasPrefix(devicePath(buffer[:n]), prefix):
			return
		}
	}
}

// devicePath reads the path out of an event's first line,
// "add@/devices/system/memory/memory40".
func devicePath(message []byte) string {
	line, _, _ := bytes.Cut(message, []byte{0})
	_, path, _ := bytes.Cut(line, []byte("@"))
	return string(path)
}

// awaitMemory waits as its params say.
func (a *guestAgent) awaitMemory(p agent.MemoryParams) (any, error) {
	look := func() (agent.MemoryReply, error) { return a.memory(p) }
	return until("/devices/system/memory/memory", p.WaitMS, look, func(m agent.MemoryReply) bool {
		offline := slices.ContainsFunc(m.Blocks, func(b agent.Block) bool { return b.State != "online" })
		return m.Present && !(p.Online && offline)
	})
}

// awaitCPUs waits as its params say.
func (a *guestAgent) awaitCPUs(p agent.CPUsParams) (any, error) {
	return until("/devices/system/cpu/cpu", p.WaitMS, a.cpus, func(r agent.CPUsReply) bool {
		return !slices.Equal(r.Present, p.Present) || !slices.Equal(r.Online, p.Online)
	})
}
