// SPDX-License-Identifier: Apache-2.0

package qmp

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// A session is what every Monitor of ours is apart from its commands: an end
// with a reason, and the watches.
type session struct {
	done chan struct{}

	mu      sync.Mutex
	err     error
	watches map[*watch]struct{} // nil when the event stream has ended
}

func newSession() *session {
	return &session{done: make(chan struct{}), watches: map[*watch]struct{}{}}
}

// Done implements Monitor.
func (s *session) Done() <-chan struct{} { return s.done }

// Err implements Monitor.
func (s *session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// end gives the session its reason; only the first one counts.
func (s *session) end(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = reason
		close(s.done)
	}
}

// await waits for the answer to a command that was sent. An answer wins over
// an end that comes at the same time: QEMU answers quit and exits.
func (s *session) await(ctx context.Context, command string, answer <-chan *message, reply any) error {
	var err error
	select {
	case m := <-answer:
		return m.result(command, reply)
	case <-ctx.Done():
		err = unanswered(ctx, command)
	case <-s.done:
		err = fmt.Errorf("%s: %w", command, s.Err())
	}
	select {
	case m := <-answer:
		return m.result(command, reply)
	default:
		return err
	}
}

// Watch implements Monitor.
func (s *session) Watch(ctx context.Context, names ...string) <-chan Event {
	w := &watch{names: names, out: make(chan Event), wake: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watches == nil {
		close(w.out)
		return w.out
	}
	s.watches[w] = struct{}{}
	go func() {
		defer close(w.out)
		w.pump(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watches, w)
	}()
	return w.out
}

// publish queues e with every watch that asked for it. It never blocks.
func (s *session) publish(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watches {
		if len(w.names) == 0 || slices.Contains(w.names, e.Name) {
			w.push(e)
		}
	}
}

// endEvents says that no event will follow. It may be called twice.
func (s *session) endEvents() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watches {
		w.finish()
	}
	s.watches = nil
}

// A watch is a queue between the reader of a connection and one receiver.
type watch struct {
	names []string // empty: all
	out   chan Event
	wake  chan struct{} // capacity 1: the queue or its end has changed

	mu    sync.Mutex
	queue []Event
	lost  int
	ended bool
}

func (w *watch) push(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == QueueLen {
		w.queue = w.queue[1:]
		w.lost++
	}
	w.queue = append(w.queue, e)
	w.nudge()
}

func (w *watch) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.nudge()
}

func (w *watch) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// pop takes the oldest event. ended means that the queue is empty for good.
func (w *watch) pop() (e Event, ok, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		w.queue = nil
		return Event{}, false, w.ended
	}
	e, w.queue = w.queue[0], w.queue[1:]
	e.Lost, w.lost = w.lost, 0
	return e, true, false
}

// pump hands the queue to the receiver until ctx ends or the queue has.
func (w *watch) pump(ctx context.Context) {
	for {
		e, ok, ended := w.pop()
		switch {
		case ended:
			return
		case ok:
			select {
			case w.out <- e:
			case <-ctx.Done():
				return
			}
		default:
			select {
			case <-w.wake:
			case <-ctx.Done():
				return
			}
		}
	}
}
