// SPDX-License-Identifier: Apache-2.0

package qmp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	goqemu "github.com/digitalocean/go-qemu/qmp"

	"plugstorm/harness/blame"
)

// A Wrapped makes a Monitor of any go-qemu monitor.
//
// Commands are run one at a time, which is what QEMU does anyway, so that a
// QEMU that stopped answering holds one goroutine and not one per attempt.
type Wrapped struct {
	*session
	m    goqemu.Monitor
	turn chan struct{} // capacity 1: holds a token while a command runs
	stop context.CancelFunc

	closing sync.Once
	failed  error // of Disconnect
}

var _ Monitor = (*Wrapped)(nil)

// Wrap adapts a connected m, which it owns from here on unless it fails. m's
// events are drained always, whether anybody watches them or not, until m
// closes its channel.
//
// Limits that come with go-qemu's interface: an event's numbers have passed
// through float64, and a refusal has no class. Don't wrap a SocketMonitor:
// it drops events and reuses the memory of its replies; use Dial.
func Wrap(m goqemu.Monitor) (*Wrapped, error) {
	ctx, stop := context.WithCancel(context.Background())
	events, err := m.Events(ctx)
	if err != nil {
		stop()
		return nil, blame.Errorf(blame.Hypervisor, "use a back end with events", "QEMU's events: %w", err)
	}
	w := &Wrapped{session: newSession(), m: m, turn: make(chan struct{}, 1), stop: stop}
	if events != nil {
		go w.drain(events)
	}
	return w, nil
}

// Gone ends the connection because of cause. It is for back ends that learn
// of QEMU's death from elsewhere: libvirt keeps its event stream open.
func (w *Wrapped) Gone(cause error) {
	w.end(gone(cause))
	w.endEvents()
}

var errStreamEnded = errors.New("its event stream ended")

func (w *Wrapped) drain(events <-chan goqemu.Event) {
	for e := range events {
		own, err := fromGoQEMU(e)
		if err != nil {
			w.end(breach("event %s: %w", e.Event, err))
			w.endEvents()
			continue // m blocks if nobody reads
		}
		w.publish(own)
	}
	w.Gone(errStreamEnded)
}

// Do implements Monitor.
func (w *Wrapped) Do(ctx context.Context, command string, args, reply any) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s not sent: %w", command, ended(ctx))
	}
	line, err := request{Execute: command, Arguments: args}.marshal()
	if err != nil {
		return err
	}
	if w.Err() != nil {
		return fmt.Errorf("%s not sent: %w", command, w.Err())
	}
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return unanswered(ctx, command)
	case <-w.Done():
		return fmt.Errorf("%s not sent: %w", command, w.Err())
	}
	answer := make(chan *message, 1) // stays empty if the connection breaks
	go func() {
		defer func() { <-w.turn }()
		if m, err := w.run(line); err != nil {
			w.end(err)
			w.endEvents()
		} else {
			answer <- m
		}
	}()
	return w.await(ctx, command, answer, reply)
}

// probe is a command that every QEMU answers in every state.
var probe = []byte(`{"execute":"query-status"}` + "\n")

// run runs one command. go-qemu's monitors return QEMU's refusals and their
// own failures alike, as texts, so after an error run asks something harmless:
// if that is answered, the connection is fine and the error was a refusal.
func (w *Wrapped) run(line []byte) (*message, error) {
	out, err := w.m.Run(line)
	if err != nil {
		if w.Err() != nil {
			return nil, w.Err()
		}
		if _, dead := w.m.Run(probe); dead != nil {
			return nil, gone(err)
		}
		out, _ = json.Marshal(map[string]any{"error": map[string]string{"desc": err.Error()}})
	}
	m := new(message)
	if err := json.Unmarshal(out, m); err != nil {
		return nil, breach("%w", err)
	}
	return m, nil
}

// Close implements Monitor; its error is that of m's Disconnect. A command
// that runs is abandoned.
func (w *Wrapped) Close() error {
	w.closing.Do(func() {
		w.end(closed())
		w.endEvents()
		w.stop()
		if err := w.m.Disconnect(); err != nil {
			w.failed = blame.On(blame.Hypervisor, err, "")
		}
	})
	return w.failed
}

func fromGoQEMU(e goqemu.Event) (Event, error) {
	own := Event{Name: e.Event, At: time.Now()}
	own.QEMU = time.Unix(e.Timestamp.Seconds, e.Timestamp.Microseconds*1000)
	if e.Data == nil {
		return own, nil
	}
	data, err := json.Marshal(e.Data)
	own.Data = data
	return own, err
}
