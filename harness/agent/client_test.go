// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"plugstorm/harness/blame"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// A fake is the guest's end of a channel, as well-behaved as the test wants.
type fake struct {
	t    *testing.T
	conn net.Conn
	in   *LineReader
}

func newFake(t *testing.T, options ...Option) (*Client, *fake) {
	t.Helper()
	host, guest := net.Pipe()
	c := NewClient(host, options...)
	t.Cleanup(func() { c.Close(); guest.Close() })
	return c, &fake{t, guest, NewLineReader(guest)}
}

// play runs the fake's part of a test beside it. The test ends after the part:
// what the fake still says when the test has its answer finds an open channel.
func (f *fake) play(part func()) {
	played := make(chan struct{})
	go func() { defer close(played); part() }()
	f.t.Cleanup(func() { <-played })
}

// request reads the next request.
func (f *fake) request() Request {
	f.t.Helper()
	line, err := f.in.Next()
	if err != nil {
		f.t.Errorf("the fake reads: %v", err)
		return Request{}
	}
	var r Request
	if err := json.Unmarshal(line, &r); err != nil {
		f.t.Errorf("the fake reads %q: %v", line, err)
	}
	return r
}

func (f *fake) say(format string, args ...any) {
	f.t.Helper()
	if _, err := fmt.Fprintf(f.conn, format, args...); err != nil {
		f.t.Errorf("the fake writes: %v", err)
	}
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestCallsRunSideBySide(t *testing.T) {
	c, f := newFake(t)
	const n = 20
	f.play(func() { // answers in the opposite order
		var requests []Request
		for range n {
			requests = append(requests, f.request())
		}
		for i := n - 1; i >= 0; i-- {
			f.say(`{"id":%d,"result":{"data":%s}}`+"\n", requests[i].ID, requests[i].Params)
		}
	})
	ctx := deadline(t)
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() {
			var reply FileReply
			want := fmt.Sprintf("number %d", i)
			if err := c.Call(ctx, MethodReadFile, want, &reply); err != nil || reply.Data != want {
				t.Errorf("got %q, %v; want %q", reply.Data, err, want)
			}
		})
	}
	calls.Wait()
}

func TestGuestErrorKeepsErrno(t *testing.T) {
	c, f := newFake(t)
	f.play(func() { f.say(`{"id":%d,"error":{"message":"no","errno":"EBUSY"}}`+"\n", f.request().ID) })
	err := c.Call(deadline(t), MethodSetBlock, SetBlockParams{ID: 3}, nil)
	var refused *Error
	if !errors.As(err, &refused) || refused.Errno != "EBUSY" {
		t.Errorf("got %v, want an *Error with EBUSY", err)
	}
}

func TestJunkAndEchoAreIgnored(t *testing.T) {
	c, f := newFake(t)
	f.play(func() {
		r := f.request()
		f.say("\x00\xff junk {\n[1,2]\n\n\"text\"\n")
		f.say(`{"id":%d,"method":"ping"}`+"\n", r.ID)       // a serial line's echo
		f.say(`{"id":%d,"result":"not mine"}`+"\n", r.ID+7) // nobody asked
		f.say(`{"id":%d,"result":"cut o`+"\n", r.ID)
		f.say(`{"id":%d,"result":"mine"}`+"\r\n", r.ID)
		f.say(`{"id":%d,"result":"again"}`+"\n", r.ID)
	})
	var reply string
	if err := c.Call(deadline(t), MethodPing, nil, &reply); err != nil || reply != "mine" {
		t.Errorf("got %q, %v", reply, err)
	}
}

func TestEndFailsEveryCallAtOnce(t *testing.T) {
	c, f := newFake(t)
	const n = 5
	results := make(chan error, n)
	for range n {
		go func() { results <- c.Call(context.Background(), MethodPing, nil, nil) }()
	}
	for range n {
		f.request()
	}
	f.conn.Close()
	late := time.After(patience)
	for range n {
		select {
		case err := <-results:
			var end *ChannelError
			if !errors.As(err, &end) || !errors.Is(err, io.EOF) || blame.Of(err) != blame.Hypervisor {
				t.Errorf("got %v (%s), want a ChannelError of the hypervisor with EOF", err, blame.Of(err))
			}
		case <-late:
			t.Fatal("a call outlives the channel")
		}
	}
	var end *ChannelError
	if err := c.Call(context.Background(), MethodPing, nil, nil); !errors.As(err, &end) {
		t.Errorf("a later call: got %v, want a ChannelError", err)
	}
}

func TestCloseIsOurs(t *testing.T) {
	c, f := newFake(t)
	result := make(chan error, 1)
	go func() { result <- c.Call(context.Background(), MethodPing, nil, nil) }()
	f.request()
	c.Close()
	c.Close()
	if err := <-result; !errors.Is(err, ErrClosed) || blame.Of(err) != blame.Harness {
		t.Errorf("got %v (%s)", err, blame.Of(err))
	}
}

func TestGuestThatDoesNotRead(t *testing.T) {
	c, _ := newFake(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	for range 2 { // the first blocks the writer, the second queues behind it
		if err := c.Call(ctx, MethodPing, nil, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
	}
}

// TestNudge: it is a line without anything in it, which neither end minds.
func TestNudge(t *testing.T) {
	c, f := newFake(t)
	f.play(func() {
		line := make([]byte, 1)
		if _, err := f.conn.Read(line); err != nil || line[0] != '\n' {
			t.Errorf("the guest reads %q, %v", line, err)
		}
		f.say("\n")
		f.say(`{"id":%d,"result":1}`+"\n", f.request().ID)
	})
	if err := c.Nudge(deadline(t)); err != nil {
		t.Error(err)
	}
	var reply int
	if err := c.Call(deadline(t), MethodPing, nil, &reply); err != nil || reply != 1 {
		t.Errorf("got %d, %v", reply, err)
	}
	f.conn.Close()
	<-c.Done()
	var end *ChannelError
	if err := c.Nudge(deadline(t)); !errors.As(err, &end) {
		t.Errorf("after the end: %v", err)
	}
}

func TestLateAnswerIsDropped(t *testing.T) {
	c, f := newFake(t)
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- c.Call(ctx, MethodPing, nil, nil) }()
	late := f.request()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	f.say(`{"id":%d,"result":1}`+"\n", late.ID)
	f.play(func() { f.say(`{"id":%d,"result":2}`+"\n", f.request().ID) })
	var reply int
	if err := c.Call(deadline(t), MethodPing, nil, &reply); err != nil || reply != 2 {
		t.Errorf("got %d, %v", reply, err)
	}
}

func TestEndlessLineEndsTheConversation(t *testing.T) {
	c, f := newFake(t)
	go func() { _, _ = io.Copy(f.conn, endless{}) }()
	select {
	case <-c.Done():
	case <-time.After(patience):
		t.Fatal("the client reads for ever")
	}
	err := c.Call(context.Background(), MethodPing, nil, nil)
	if !errors.Is(err, ErrLineTooLong) || blame.Of(err) != blame.Harness {
		t.Errorf("got %v (%s)", err, blame.Of(err))
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return copy(b, strings.Repeat("x", len(b))), nil }

func TestHeartbeatAndEvents(t *testing.T) {
	when := time.Unix(1700000000, 0)
	events := make(chan string, 10)
	c, f := newFake(t,
		Clock(func() time.Time { return when }),
		OnEvent(func(r Reply) { events <- r.Event }))
	if _, at := c.Heartbeats(); !at.IsZero() {
		t.Error("a heartbeat before the first")
	}
	f.say(`{"id":0,"event":"heartbeat","result":{"seq":7,"free_kib":12}}` + "\n")
	f.say(`{"id":0,"event":"heartbeat","result":"nonsense"}` + "\n")
	f.say(`{"id":0,"event":"workload-end","result":{"id":"w"}}` + "\n")
	for _, want := range []string{EventHeartbeat, EventHeartbeat, EventWorkloadEnd} {
		if got := <-events; got != want {
			t.Errorf("event %q, want %q", got, want)
		}
	}
	if beat, at := c.Heartbeats(); beat.Seq != 7 || beat.FreeKiB != 12 || !at.Equal(when) {
		t.Errorf("got %+v at %v", beat, at)
	}
}

func TestHelloByEvent(t *testing.T) {
	c, f := newFake(t)
	f.play(func() {
		f.request() // its question stays unanswered
		f.say(`{"id":0,"event":"hello","result":{"release":"6.12","modules":["a"]}}` + "\n")
	})
	h, err := c.Hello(deadline(t))
	if err != nil || h.Release != "6.12" || len(h.Modules) != 1 {
		t.Errorf("got %+v, %v", h, err)
	}
}

func TestHelloAsksAgain(t *testing.T) {
	c, f := newFake(t)
	f.play(func() {
		f.request() // lost while the guest boots
		if r := f.request(); r.Method == MethodHello {
			f.say(`{"id":%d,"result":{"release":"6.12"}}`+"\n", r.ID)
		}
	})
	if h, err := c.Hello(deadline(t)); err != nil || h.Release != "6.12" {
		t.Errorf("got %+v, %v", h, err)
	}
	if h, err := c.Hello(deadline(t)); err != nil || h.Release != "6.12" {
		t.Errorf("the second time: got %+v, %v", h, err)
	}
}

func TestHelloNeverComes(t *testing.T) {
	c, f := newFake(t)
	go func() { _, _ = io.Copy(io.Discard, f.conn) }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Hello(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	f.conn.Close()
	var end *ChannelError
	if _, err := c.Hello(deadline(t)); !errors.As(err, &end) {
		t.Errorf("after the end: got %v", err)
	}
}

func TestEncodeLineBounds(t *testing.T) {
	if _, err := EncodeLine(strings.Repeat("x", MaxLine)); !errors.Is(err, ErrLineTooLong) {
		t.Errorf("got %v, want ErrLineTooLong", err)
	}
	line, err := EncodeLine("a -> b")
	if err != nil || string(line) != "\n\"a -> b\"\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func FuzzLineReader(f *testing.F) {
	f.Add([]byte("\n{\"id\":1}\r\n\n\nx"))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := NewLineReader(bytes.NewReader(data))
		var got [][]byte
		for {
			line, err := lines.Next()
			if err != nil {
				break
			}
			got = append(got, bytes.Clone(line))
		}
		var want [][]byte
		whole := data[:bytes.LastIndexByte(data, '\n')+1]
		for part := range bytes.SplitSeq(whole, []byte("\n")) {
			if part = bytes.TrimSpace(part); len(part) > 0 {
				want = append(want, part)
			}
		}
		if !bytes.Equal(bytes.Join(got, []byte("\n")), bytes.Join(want, []byte("\n"))) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
