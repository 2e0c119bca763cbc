// SPDX-License-Identifier: Apache-2.0

// Package vmtest fakes a guest: a QEMU with its monitor, a kernel that takes
// and gives back what is plugged, and the agent in it. Everything is in
// memory, so a fake guest lives in a testing/synctest bubble, where deadlines
// cost nothing.
package vmtest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/console"
	"plugstorm/harness/qmp"
	"plugstorm/harness/qmp/qmptest"
	"plugstorm/harness/vm"
)

// ErrNoAnswer is what a handler returns to leave its caller without an answer.
var ErrNoAnswer = errors.New("vmtest: no answer")

// A Handler answers a QMP command or a request to the agent. A *qmp.Error and
// an *agent.Error, respectively, are refusals.
type Handler func(g *Guest, args json.RawMessage) (any, error)

// A Character is what a guest does differently from a healthy one, which does
// at once what it is told.
type Character struct {
	// Plug and Unplug are what the kernel does about a device that has come,
	// or that is asked back. They run after QEMU has answered the command.
	// Guest.Take and Guest.Release are what a healthy one does.
	Plug, Unplug func(g *Guest, device string)

	Commands map[string]Handler // of QEMU, by QMP command
	Methods  map[string]Handler // of the agent, by method
	Modules  []string           // kernel modules of ours that the agent says it has

	Boot    time.Duration // from the start to the agent's hello
	NoAgent bool          // it never comes up
	Reap    time.Duration // from the end of QEMU's sockets to that of its process
}

// A Guest is a running fake guest. Its methods are safe for concurrent use.
type Guest struct {
	VM *vm.VM

	spec    vm.Spec
	monitor net.Conn // QEMU's ends
	channel net.Conn
	console chan []byte
	spoilt  chan error    // capacity 1
	unread  chan struct{} // closed when nobody reads the console any more
	ended   chan struct{}
	dying   sync.Once
	exit    vm.Exit

	wires struct { // one message at a time
		monitor, channel sync.Mutex
		peer             *qmptest.Peer
	}

	mu        sync.Mutex
	character Character
	asked     bool // to end
	mute      bool
	qemu      qemu
	kernel    kernel
	log       []string // QMP commands and agent methods
}

// Start starts a fake guest. ctx bounds the start only; VM.Close ends it.
func Start(ctx context.Context, s vm.Spec, c Character) (*Guest, error) {
	if s.Dir != "" { // as QEMU's back end does
		if err := os.MkdirAll(s.Dir, 0o755); err != nil {
			return nil, err
		}
	}
	g := &Guest{
		spec: s, character: c, console: make(chan []byte), spoilt: make(chan error, 1), unread: make(chan struct{}), ended: make(chan struct{}),
		qemu: newQEMU(s.Machine), kernel: newKernel(s),
	}
	g.appendLog("")
	var ours, channel net.Conn
	g.monitor, ours = net.Pipe()
	g.channel, channel = net.Pipe()
	g.wires.peer = qmptest.NewPeer(g.monitor)
	go g.serveMonitor()
	monitor, err := qmp.NewConn(ctx, ours)
	if err != nil {
		g.monitor.Close()
		return nil, err
	}
	g.VM = vm.Assemble(s, vm.Parts{
		Process: process{g}, Monitor: monitor, Channels: []io.ReadWriteCloser{channel}, Console: g.readConsole,
	})
	if s.Incoming != "" {
		g.resume()
	} else if !c.NoAgent {
		time.AfterFunc(c.Boot, g.serveAgent)
	}
	return g, nil
}

// Die ends QEMU.
func (g *Guest) Die(cause, stderr string) {
	g.dying.Do(func() {
		g.mu.Lock()
		g.exit = vm.Exit{Asked: g.asked, Cause: cause, Stderr: stderr}
		g.mu.Unlock()
		g.monitor.Close()
		g.channel.Close()
		time.AfterFunc(g.now().Reap, func() { close(g.ended) })
	})
}

// HangUp ends QEMU's monitor and nothing else.
func (g *Guest) HangUp() { g.monitor.Close() }

// HangUpAgent ends the agent's channel and nothing else.
func (g *Guest) HangUpAgent() { g.channel.Close() }

// Become changes the guest's character. Boot and NoAgent come too late.
func (g *Guest) Become(c Character) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.character = c
}

// now is the guest's present character.
func (g *Guest) now() Character {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.character
}

// Mute makes the kernel and its agent fall silent.
func (g *Guest) Mute() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mute = true
}

func (g *Guest) muted() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mute
}

// Print writes on the guest's console. It returns when that was read.
func (g *Guest) Print(text string) {
	g.appendLog(text)
	select {
	case g.console <- []byte(text):
	case <-g.unread:
	}
}

// Log lists the QMP commands and agent methods that were called, in order.
// Those that only ask are left out.
func (g *Guest) Log() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string{}, g.log...)
}

func (g *Guest) note(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log = append(g.log, text)
}

func (g *Guest) readConsole(ctx context.Context) error {
	defer close(g.unread)
	var offset int64
	for {
		select {
		case text := <-g.console:
			if g.spec.Console != nil {
				if err := g.spec.Console(console.Chunk{At: time.Now(), Offset: offset, Data: text}); err != nil {
					return err
				}
			}
			offset += int64(len(text))
		case err := <-g.spoilt:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// FailConsole makes the reading of the console end with an error.
func (g *Guest) FailConsole(err error) { g.spoilt <- err }

// beat says that the guest lives, both ways and as often as the real agent,
// until QEMU ends.
func (g *Guest) beat() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-g.ended:
			return
		case <-ticker.C:
		}
		if g.muted() {
			continue
		}
		g.Event(agent.EventHeartbeat, agent.Heartbeat{})
		if n%2 == 0 {
			g.Print("plugstorm: heartbeat\n")
		}
	}
}

// A process is the guest's QEMU as the VM sees it.
type process struct{ g *Guest }

func (p process) Ended() <-chan struct{} { return p.g.ended }

func (p process) PID() int { return 0 }

func (p process) Exit() vm.Exit { return p.g.exit }

func (p process) End(quit func(context.Context) error) {
	p.g.mu.Lock()
	p.g.asked = true
	p.g.mu.Unlock()
	if quit != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = quit(ctx) // what doesn't quit is killed
	}
	p.g.Die("signal: killed", "")
	<-p.g.ended
}
