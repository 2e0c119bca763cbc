// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads"
	"plugstorm/workloads/sysfs"
)

const (
	beatEvery        = time.Second
	consoleBeatEvery = 2 * time.Second
	queued           = 64 // messages on their way to the host
)

// guestAgent serves one host over one channel. Every request has a goroutine
// of its own, so a system call that sticks holds up its own answer only.
type guestAgent struct {
	tree      sysfs.Tree
	port      io.ReadWriteCloser
	note      *console
	transport string
	modules   string // directory of our kernel modules
	work      *supervisor
	out       chan []byte // to the one writer of port
	powerOff  func() error
	stir      func(device string, entropy []byte) error
	setClock  func(unix.Timespec) error
	seq       atomic.Uint64
	faulted   atomic.Bool   // allocations of the kernel's were made to fail
	block     atomic.Uint64 // bytes of a memory block; 0 as long as nobody asked

	glances glances // at the tasks that are blocked

	introduction func() agent.Hello // what there is to say of the guest, found out by the first call
}

func newAgent(root string, port io.ReadWriteCloser, note *console, processes *children) *guestAgent {
	a := &guestAgent{
		tree:     sysfs.Tree(root),
		port:     port,
		note:     note,
		modules:  filepath.Join(root, workloads.ModuleDir),
		out:      make(chan []byte, queued),
		powerOff: powerOff,
		stir:     stir,
		setClock: setClock,
	}
	a.introduction = sync.OnceValue(a.introduce)
	a.work = newSupervisor(processes, note, a.modules, func(stats agent.WorkloadStats) {
		a.note.printf("workload %s (%s) ended by itself: %s", stats.ID, stats.Name, stats.Error)
		a.event(agent.EventWorkloadEnd, stats)
	})
	return a
}

// serve answers requests for as long as the channel lives, and returns why it
// doesn't any more.
func (a *guestAgent) serve() string {
	ended := make(chan string, 2)
	go a.write(ended)
	a.event(agent.EventHello, a.hello())
	go a.beatPort()
	go a.beatConsole()
	go a.read(agent.NewLineReader(a.port), ended)
	return <-ended
}

func (a *guestAgent) write(ended chan<- string) {
	defer a.note.guard(func(p any) { ended <- fmt.Sprint("panic of the writer: ", p) })
	for line := range a.out {
		if _, err := a.port.Write(line); err != nil {
			ended <- "write to the host: " + err.Error()
			return
		}
	}
}

// read reads up to a request, has another goroutine read on, and does the request
// itself: what the host waits for doesn't have to wait for a thread to wake up on
// another CPU.
func (a *guestAgent) read(lines *agent.LineReader, ended chan<- string) {
	defer a.note.guard(func(p any) { ended <- fmt.Sprint("panic of the reader: ", p) })
	for {
		line, err := lines.Next()
		if errors.Is(err, agent.ErrLineTooLong) {
			a.note.printf("%v", err)
			continue
		}
		if err != nil {
			ended <- "read from the host: " + err.Error()
			return
		}
		var request agent.Request
		if json.Unmarshal(line, &request) != nil || request.ID == 0 || request.Method == "" {
			continue
		}
		go a.read(lines, ended)
		a.answer(request)
		return
	}
}

// answer does one request and replies, even if it panics.
func (a *guestAgent) answer(request agent.Request) {
	reply := agent.Reply{ID: request.ID}
	defer a.note.guard(func(p any) {
		a.send(agent.Reply{ID: request.ID, Error: &agent.Error{Message: fmt.Sprint("agent panic: ", p)}})
	})
	result, err := a.do(request)
	if err == nil {
		reply.Result, err = agent.EncodeRaw(result)
	}
	if err != nil {
		reply.Result, reply.Error = nil, wireError(err)
	}
	a.send(reply)
}

// do runs a method.
func (a *guestAgent) do(request agent.Request) (any, error) {
	method, ok := methods[request.Method]
	if !ok {
		return nil, fmt.Errorf("unknown method %q", request.Method)
	}
	return method(a, request.Params)
}

// wireError keeps the kernel's errno.
func wireError(err error) *agent.Error {
	e := &agent.Error{Message: err.Error()}
	var errno unix.Errno
	if errors.As(err, &errno) {
		e.Errno = unix.ErrnoName(errno)
	}
	return e
}

// send queues a message and blocks while the host doesn't read.
func (a *guestAgent) send(reply agent.Reply) {
	line, err := agent.EncodeLine(reply)
	if err != nil {
		line, err = agent.EncodeLine(agent.Reply{ID: reply.ID, Event: reply.Event, Error: wireError(err)})
	}
	if err != nil { // can't be: a short error message can be encoded
		a.note.printf("%v", err)
		return
	}
	a.out <- line
}

func (a *guestAgent) event(name string, result any) {
	raw, err := agent.EncodeRaw(result)
	if err != nil {
		a.note.printf("event %s: %v", name, err)
		return
	}
	a.send(agent.Reply{Event: name, Result: raw})
}

// beatPort sends heartbeats. Behind a message that waits for the host there is
// no use in one: it would be old news when it arrives.
func (a *guestAgent) beatPort() {
	defer a.note.guard(func(any) { go a.beatPort() })
	for range time.Tick(beatEvery) {
		beat := a.beat()
		beat.Seq = a.seq.Add(1)
		if len(a.out) > 0 {
			continue
		}
		raw, err := agent.EncodeRaw(beat)
		if err != nil {
			a.note.printf("heartbeat: %v", err)
			continue
		}
		line, err := agent.EncodeLine(agent.Reply{Event: agent.EventHeartbeat, Result: raw})
		if err != nil {
			a.note.printf("heartbeat: %v", err)
			continue
		}
		select {
		case a.out <- line:
		default:
		}
	}
}

// beatConsole counts for itself and has a goroutine of its own: the console
// may block for long when the kernel has much to say.
func (a *guestAgent) beatConsole() {
	defer a.note.guard(func(any) { go a.beatConsole() })
	var seq uint64
	for range time.Tick(consoleBeatEvery) {
		seq++
		beat := a.beat()
		a.note.printf("heartbeat seq=%d up=%dms free=%d workloads=%d", seq, beat.UptimeMS, beat.FreeKiB, beat.Workloads)
	}
}

// beat takes no lock of the kernel that hotplug holds for long: sysinfo(2) and
// clock_gettime(2) only.
func (a *guestAgent) beat() agent.Heartbeat {
	beat := agent.Heartbeat{UptimeMS: uptimeMS(), Workloads: a.work.running()}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		beat.FreeKiB = info.Freeram * uint64(info.Unit) >> 10
	}
	return beat
}

func uptimeMS() int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0
	}
	return t.Nano() / int64(time.Millisecond)
}

func powerOff() error {
	unix.Sync()
	return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// moduleNames lists our modules in the initramfs.
func moduleNames(dir string) []string {
	paths, err := filepath.Glob(filepath.Join(dir, "*.ko"))
	if err != nil {
		return nil
	}
	names := []string{}
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".ko"))
	}
	return names
}
