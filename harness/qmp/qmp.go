// SPDX-License-Identifier: Apache-2.0

// Package qmp speaks the QEMU Machine Protocol.
//
// The seam is go-qemu's qmp.Monitor: Wrap takes any of them (libvirt's
// LibvirtRPCMonitor) and AsGoQEMU makes one of ours. The transport to a QEMU
// of our own is Conn, because go-qemu's SocketMonitor waits for ever when
// QEMU stops answering, blocks every reply behind an unread event, and ends at
// a reply of 64 KiB.
package qmp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"plugstorm/harness/blame"
)

// A Monitor is one conversation with one QEMU. All methods are safe for
// concurrent use.
type Monitor interface {
	// Do runs a command and waits for its reply. args is marshalled to the
	// command's arguments (nil for none); the return value is unmarshalled
	// into reply (nil to ignore it).
	//
	// It returns when QEMU has answered, ctx has ended or the connection has
	// ended, whichever is first. QEMU's own refusal is a *Error. A deadline
	// that passed is the hypervisor's fault; a cancelled ctx is returned with
	// its cause and no owner added. After either, QEMU may still run the
	// command; its late reply is dropped.
	Do(ctx context.Context, command string, args, reply any) error

	// Watch returns the events of the given names, all events without names,
	// from this call on and in QEMU's order. What QEMU sent before a reply is
	// queued when Do returns that reply.
	//
	// Each watch has a queue of its own, so one that isn't read never holds
	// up replies or other watches. The queue is a ring of QueueLen events and
	// not unbounded, because the guest decides how many events there are (it
	// causes an ACPI_DEVICE_OST by writing to a port, and QEMU doesn't limit
	// its rate) and mustn't decide how much memory we take. An overrun drops
	// the oldest events and is told: see Event.Lost.
	//
	// The channel is closed when ctx ends, or when the connection has ended
	// and everything queued was received. Its goroutine lives until then: who
	// stops reading early must end ctx.
	Watch(ctx context.Context, names ...string) <-chan Event

	// Close ends the connection, not QEMU. It is idempotent.
	Close() error

	// Done is closed when the connection has ended; Err then says why, and
	// returns nil before.
	Done() <-chan struct{}
	Err() error
}

// QueueLen is how many unread events a watch holds. A storm at full pace makes
// about 30 events a second.
const QueueLen = 1 << 14

// MaxMessage bounds one message of QEMU's in bytes. The largest known reply,
// query-qmp-schema, has 230 KiB.
const MaxMessage = 64 << 20

// An Event is an asynchronous message of QEMU's.
type Event struct {
	Name string
	Data json.RawMessage // nil if the event has none; Decode types it
	At   time.Time       // when we read it, with the monotonic clock
	QEMU time.Time       // QEMU's own timestamp, the host's wall clock
	Lost int             // events of this watch that were dropped just before this one; see Watch
}

// An Error is QEMU's refusal of a command. It has no owner: whether a refusal
// was to be expected, only the sender of the command knows.
type Error struct {
	Command string
	Class   string // "GenericError", "DeviceNotFound", ...; empty if a wrapped monitor doesn't tell
	Desc    string
}

func (e *Error) Error() string {
	if e.Class == "" {
		return fmt.Sprintf("QEMU refused %s: %s", e.Command, e.Desc)
	}
	return fmt.Sprintf("QEMU refused %s: %s (%s)", e.Command, e.Desc, e.Class)
}

// The reasons for which a connection ends; see Monitor.Err.
var (
	ErrGone     = errors.New("QEMU is gone")            // it exited, died or hung up: the hypervisor's
	ErrProtocol = errors.New("QEMU broke the protocol") // malformed or impossible message: the hypervisor's
	ErrClosed   = errors.New("monitor closed")          // by our own Close
)

// gone makes the error of a connection that ended because of cause.
func gone(cause error) error {
	return blame.Errorf(blame.Hypervisor, "look at QEMU's exit status and its stderr", "%w: %w", ErrGone, cause)
}

// breach makes the error of a message that isn't QMP.
func breach(format string, args ...any) error {
	return blame.Errorf(blame.Hypervisor, "check with another QEMU version; this one is not to be trusted",
		"%w: %w", ErrProtocol, fmt.Errorf(format, args...))
}

// closed is the reason of a connection that we ended.
func closed() error { return blame.On(blame.Harness, ErrClosed, "") }

// unanswered makes the error of a command whose ctx ended first.
func unanswered(ctx context.Context, command string) error {
	err := fmt.Errorf("no answer to %s: %w", command, ended(ctx))
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return blame.On(blame.Hypervisor, err, "see whether QEMU is stopped or spinning; its other threads may live on")
	}
	return err
}

// ended returns ctx's error together with its cause, if that says more.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
