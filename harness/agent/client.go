// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"plugstorm/harness/blame"
)

// askEvery is how often Hello asks. A question that is sent before the guest
// has opened its port is lost, so one isn't enough.
const askEvery = time.Second

// ErrClosed is the cause of a ChannelError after Close.
var ErrClosed = errors.New("closed by us")

// A ChannelError says that the channel to the agent has ended, and with it
// every call: nothing is known about what the guest did with them.
type ChannelError struct{ Cause error }

func (e *ChannelError) Error() string {
	return "the channel to the guest's agent ended: " + e.Cause.Error()
}

// Unwrap returns the cause: ErrClosed, io.EOF, ErrLineTooLong or an error of the transport.
func (e *ChannelError) Unwrap() error { return e.Cause }

// A Client is the host's end of the channel. All methods may be called at the
// same time from several goroutines.
type Client struct {
	rw      io.ReadWriteCloser
	onEvent func(Reply)
	now     func() time.Time

	out   chan []byte   // to the writer; unbuffered
	ended chan struct{} // closed when the channel has ended; then cause is set
	hello chan struct{} // closed when greeting is set
	tasks sync.WaitGroup

	mu       sync.Mutex
	cause    error
	lastID   uint64
	pending  map[uint64]chan Reply // each of capacity 1
	greeting Hello
	greeted  bool
	beat     Heartbeat
	beatAt   time.Time
}

// An Option changes a new Client.
type Option func(*Client)

// OnEvent has f called for every event, heartbeats and hello included, in the
// order of their arrival. f runs on the goroutine that reads the channel, so
// it must neither block nor call the Client.
func OnEvent(f func(Reply)) Option { return func(c *Client) { c.onEvent = f } }

// Clock replaces time.Now as the source of a heartbeat's time of arrival.
func Clock(now func() time.Time) Option { return func(c *Client) { c.now = now } }

// NewClient speaks to the agent over rw, which it owns from here on. The guest
// may boot later: nothing is sent before the first call.
func NewClient(rw io.ReadWriteCloser, options ...Option) *Client {
	c := &Client{
		rw:      rw,
		onEvent: func(Reply) {},
		now:     time.Now,
		out:     make(chan []byte),
		ended:   make(chan struct{}),
		hello:   make(chan struct{}),
		pending: map[uint64]chan Reply{},
	}
	for _, option := range options {
		option(c)
	}
	c.tasks.Add(2)
	go c.read()
	go c.write()
	return c
}

// Close ends the channel, fails the calls that are under way, and returns when
// both goroutines of the Client have ended.
func (c *Client) Close() error {
	c.end(ErrClosed)
	c.tasks.Wait()
	return nil
}

// Hello returns the guest's introduction, waiting for it if need be. It asks
// for it again and again, so it also works when the agent's own hello was lost
// or went to an earlier Client.
func (c *Client) Hello(ctx context.Context) (Hello, error) {
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	asking.Go(func() { c.ask(ctx) })
	select {
	case <-c.hello:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.greeting, nil
	case <-c.ended:
		return Hello{}, c.endError()
	case <-ctx.Done():
		return Hello{}, fmt.Errorf("no hello from the guest's agent: %w", context.Cause(ctx))
	}
}

// ask sends MethodHello until somebody answers.
func (c *Client) ask(ctx context.Context) {
	for ctx.Err() == nil {
		patience, cancel := context.WithTimeout(ctx, askEvery)
		var h Hello
		err := c.Call(patience, MethodHello, nil, &h)
		var channel *ChannelError
		switch {
		case err == nil:
			c.setHello(h)
			cancel()
			return
		case errors.As(err, &channel):
			cancel()
			return
		}
		<-patience.Done() // an answer that we don't understand must not make us ask without a pause
		cancel()
	}
}

// Call asks the guest to do method and waits for the answer. params may be
// nil; reply is where the result goes, nil if it isn't wanted. The guest's own
// refusal is an *Error. A context that ends first leaves the guest at it: the
// late answer is dropped.
func (c *Client) Call(ctx context.Context, method string, params, reply any) error {
	line, id, answer, err := c.prepare(method, params)
	if err != nil {
		return err
	}
	defer c.forget(id)
	select {
	case c.out <- line:
	case <-c.ended:
		return c.endError()
	case <-ctx.Done():
		return fmt.Errorf("agent: %s not sent: %w", method, context.Cause(ctx))
	}
	select {
	case r := <-answer:
		return decode(method, r, reply)
	case <-c.ended:
		select { // the answer may have been the last thing before the end
		case r := <-answer:
			return decode(method, r, reply)
		default:
			return c.endError()
		}
	case <-ctx.Done():
		return fmt.Errorf("agent: no answer to %s: %w", method, context.Cause(ctx))
	}
}

// Nudge gives the guest an interrupt to take and nothing to do: an empty line.
func (c *Client) Nudge(ctx context.Context) error {
	select {
	case c.out <- []byte("\n"):
		return nil
	case <-c.ended:
		return c.endError()
	case <-ctx.Done():
		return fmt.Errorf("agent: %w", context.Cause(ctx))
	}
}

// Heartbeats returns the last heartbeat and when it arrived, on our clock. The
// time is zero when none has arrived yet.
func (c *Client) Heartbeats() (last Heartbeat, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.beat, c.beatAt
}

// Done is closed when the channel has ended.
func (c *Client) Done() <-chan struct{} { return c.ended }

func (c *Client) prepare(method string, params any) (line []byte, id uint64, answer chan Reply, err error) {
	var raw json.RawMessage
	if params != nil {
		if raw, err = EncodeRaw(params); err != nil {
			return nil, 0, nil, fmt.Errorf("agent: params of %s: %w", method, err)
		}
	}
	answer = make(chan Reply, 1)
	c.mu.Lock()
	c.lastID++
	id = c.lastID
	c.pending[id] = answer
	c.mu.Unlock()
	line, err = EncodeLine(Request{ID: id, Method: method, Params: raw})
	if err != nil {
		c.forget(id)
		return nil, 0, nil, fmt.Errorf("agent: %s: %w", method, err)
	}
	return line, id, answer, nil
}

func (c *Client) forget(id uint64) {
	c.mu.Lock()
	delete(c.pending, id)
	c.mu.Unlock()
}

func decode(method string, r Reply, reply any) error {
	if r.Error != nil {
		return r.Error
	}
	if reply == nil {
		return nil
	}
	if err := json.Unmarshal(r.Result, reply); err != nil {
		return fmt.Errorf("agent: result of %s: %w", method, err)
	}
	return nil
}

// write is the only writer of rw: a guest that doesn't read blocks it, and
// never a Call whose context ends.
func (c *Client) write() {
	defer c.tasks.Done()
	for {
		select {
		case line := <-c.out:
			if _, err := c.rw.Write(line); err != nil {
				c.end(err)
				return
			}
		case <-c.ended:
			return
		}
	}
}

// read is the only reader of rw.
func (c *Client) read() {
	defer c.tasks.Done()
	lines := NewLineReader(c.rw)
	for {
		line, err := lines.Next()
		if err != nil {
			c.end(err)
			return
		}
		var m struct {
			Reply
			Method string `json:"method"` // set in our own request that a serial line echoes
		}
		if json.Unmarshal(line, &m) != nil || m.Method != "" {
			continue
		}
		c.take(m.Reply)
	}
}

func (c *Client) take(r Reply) {
	if r.ID != 0 {
		c.mu.Lock()
		answer := c.pending[r.ID]
		delete(c.pending, r.ID) // a second answer goes nowhere
		c.mu.Unlock()
		if answer != nil {
			answer <- r
		}
		return
	}
	switch r.Event {
	case "":
		return
	case EventHello:
		var h Hello
		if json.Unmarshal(r.Result, &h) == nil {
			c.setHello(h)
		}
	case EventHeartbeat:
		var b Heartbeat
		if json.Unmarshal(r.Result, &b) == nil {
			c.mu.Lock()
			c.beat, c.beatAt = b, c.now()
			c.mu.Unlock()
		}
	}
	c.onEvent(r)
}

func (c *Client) setHello(h Hello) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.greeting = h
	if !c.greeted {
		c.greeted = true
		close(c.hello)
	}
}

// end ends the channel once, for the first cause given.
func (c *Client) end(cause error) {
	c.mu.Lock()
	first := c.cause == nil
	if first {
		c.cause = cause
		close(c.ended)
	}
	c.mu.Unlock()
	if first {
		c.rw.Close()
	}
}

// endError says whose fault the end is: QEMU holds the other end, but an
// endless line comes from inside the guest and Close from us.
func (c *Client) endError() error {
	c.mu.Lock()
	cause := c.cause
	c.mu.Unlock()
	err := &ChannelError{Cause: cause}
	switch {
	case errors.Is(cause, ErrClosed), errors.Is(cause, ErrLineTooLong):
		return blame.On(blame.Harness, err, "")
	default:
		return blame.On(blame.Hypervisor, err, "look at QEMU's exit cause and the end of the console")
	}
}
