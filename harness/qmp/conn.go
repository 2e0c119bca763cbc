// SPDX-License-Identifier: Apache-2.0

package qmp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	goqemu "github.com/digitalocean/go-qemu/qmp"

	"plugstorm/harness/blame"
)

// A Conn is a Monitor over QEMU's own QMP socket. Commands of several
// goroutines are on their way side by side and are matched by id.
type Conn struct {
	*session
	sock    net.Conn
	out     chan []byte   // lines, to the writer
	greeted chan struct{} // closed when version is set
	version goqemu.Version
	workers sync.WaitGroup // reader and writer

	calls  sync.Mutex
	lastID int64
	wait   map[int64]chan *message // per command sent and not answered; capacity 1
}

var _ Monitor = (*Conn)(nil)

const (
	dialPause   = 5 * time.Millisecond // between two attempts to connect
	lastWords   = time.Second          // to read what QEMU said before a write to it failed
	maxSunPath  = 107                  // sizeof(sockaddr_un.sun_path) - 1, include/uapi/linux/un.h
	negotiation = "qmp_capabilities"
)

// Dial connects to the unix socket at path and negotiates. QEMU makes the
// socket while it starts, so Dial tries again until ctx ends: give ctx a
// deadline, and cancel it when QEMU exits (with the cause, which is then part
// of the error).
func Dial(ctx context.Context, path string) (*Conn, error) {
	if len(path) > maxSunPath {
		return nil, blame.Errorf(blame.User, "choose a shorter output directory",
			"the path of a unix socket takes %d bytes, this one has %d: %s", maxSunPath, len(path), path)
	}
	sock, err := connect(ctx, path)
	if err != nil {
		return nil, err
	}
	return NewConn(ctx, sock)
}

// connect waits for the socket to appear and accept.
func connect(ctx context.Context, path string) (net.Conn, error) {
	tick := time.NewTicker(dialPause)
	defer tick.Stop()
	var dialer net.Dialer
	for {
		sock, err := dialer.DialContext(ctx, "unix", path)
		if err == nil {
			return sock, nil
		}
		var timeout net.Error // ctx's deadline, which the dialer may see before ctx does
		late := errors.As(err, &timeout) && timeout.Timeout()
		if ctx.Err() == nil && !late && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, blame.On(blame.Host, err, "check the permissions of the run directory")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("QEMU's monitor socket: %w (%w)", unanswered(ctx, "connect"), err)
		}
	}
}

// NewConn negotiates on a connected socket (one end of a socketpair, say),
// which it owns from here on, also on failure.
func NewConn(ctx context.Context, sock net.Conn) (*Conn, error) {
	c := &Conn{
		session: newSession(),
		sock:    sock,
		out:     make(chan []byte),
		greeted: make(chan struct{}),
		wait:    map[int64]chan *message{},
	}
	c.workers.Go(c.read)
	c.workers.Go(c.write)
	if err := c.negotiate(ctx); err != nil {
		_ = c.Close() // the reason for the failure counts
		return nil, err
	}
	return c, nil
}

func (c *Conn) negotiate(ctx context.Context) error {
	select {
	case <-c.greeted:
		return c.Do(ctx, negotiation, nil, nil)
	case <-c.Done():
		return fmt.Errorf("before its greeting: %w", c.Err())
	case <-ctx.Done():
		return unanswered(ctx, "connect (no greeting)")
	}
}

// Version returns the version that QEMU greeted with.
func (c *Conn) Version() goqemu.Version { return c.version }

// Do implements Monitor.
func (c *Conn) Do(ctx context.Context, command string, args, reply any) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s not sent: %w", command, ended(ctx))
	}
	id, answer := c.expect()
	defer c.forget(id)
	line, err := request{Execute: command, Arguments: args, ID: id}.marshal()
	if err != nil {
		return err
	}
	select {
	case c.out <- line:
	case <-ctx.Done():
		return unanswered(ctx, command)
	case <-c.Done():
		return fmt.Errorf("%s not sent: %w", command, c.Err())
	}
	return c.await(ctx, command, answer, reply)
}

// Close implements Monitor. It waits for the connection's own goroutines, and
// always returns nil.
func (c *Conn) Close() error {
	c.end(closed())
	c.sock.Close()
	c.workers.Wait()
	return nil
}

// expect reserves an id and the place where its reply will be put.
func (c *Conn) expect() (id int64, answer <-chan *message) {
	c.calls.Lock()
	defer c.calls.Unlock()
	c.lastID++
	place := make(chan *message, 1)
	c.wait[c.lastID] = place
	return c.lastID, place
}

func (c *Conn) forget(id int64) {
	c.calls.Lock()
	defer c.calls.Unlock()
	delete(c.wait, id)
}

// write is the only writer, so a command whose caller gave up is still
// written whole. Closing the socket unblocks it.
func (c *Conn) write() {
	for {
		select {
		case line := <-c.out:
			if _, err := c.sock.Write(line); err != nil {
				// The reader finds the reason, after QEMU's last words.
				_ = c.sock.SetReadDeadline(time.Now().Add(lastWords))
				return
			}
		case <-c.Done():
			return
		}
	}
}

// read is the only reader; it ends the connection.
func (c *Conn) read() {
	c.end(c.receive())
	c.endEvents()
	c.sock.Close()
}

func (c *Conn) receive() error {
	d := newDecoder(c.sock, MaxMessage)
	hello, err := d.next()
	if err != nil {
		return err
	}
	if hello.QMP == nil {
		return breach("it doesn't begin with a greeting")
	}
	c.version = hello.QMP.Version
	close(c.greeted)
	for {
		m, err := d.next()
		if err != nil {
			return err
		}
		if m.Event != "" {
			c.publish(m.event(time.Now()))
		} else if err := c.deliver(m); err != nil {
			return err
		}
	}
}

// deliver gives a reply to whoever waits for it, and drops it if nobody does
// any more.
func (c *Conn) deliver(m *message) error {
	c.calls.Lock()
	defer c.calls.Unlock()
	switch {
	case m.ID == nil && m.Error != nil: // QEMU couldn't parse a command, and doesn't say which
		return breach("an error without id: %s: %s", m.Error.Class, m.Error.Desc)
	case m.ID == nil:
		return breach("a message that is neither event nor reply")
	}
	id, err := strconv.ParseInt(string(m.ID), 10, 64)
	if err != nil || id < 1 || id > c.lastID {
		return breach("a reply to command %.20q, the last one sent was %d", m.ID, c.lastID)
	}
	if place, ok := c.wait[id]; ok {
		place <- m
		delete(c.wait, id)
	}
	return nil
}
