// SPDX-License-Identifier: Apache-2.0

package qmp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
	"plugstorm/harness/qmp/qmptest"
)

func TestRefusal(t *testing.T) {
	c := dial(t, func(p *qmptest.Peer) error {
		return p.Serve(func(qmptest.Command) (any, error) {
			return nil, &qmp.Error{Class: "DeviceNotFound", Desc: "Device 'd1' not found"}
		})
	})
	err := qmp.DeviceDel(within(t, patience), c, "d1")
	var refusal *qmp.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("error is %v", err)
	}
	want := &qmp.Error{Command: "device_del", Class: "DeviceNotFound", Desc: "Device 'd1' not found"}
	if diff := cmp.Diff(want, refusal); diff != "" {
		t.Error(diff)
	}
	if c.Err() != nil {
		t.Errorf("a refusal ended the connection: %v", c.Err())
	}
}

func TestUnreadEventsBlockNothing(t *testing.T) {
	const extra = 100
	c := dial(t, func(p *qmptest.Peer) error {
		return p.Serve(func(c qmptest.Command) (any, error) {
			for i := range qmp.QueueLen + extra {
				if err := p.Emit("FLOOD", map[string]int{"n": i}); err != nil {
					return nil, err
				}
			}
			return c.Execute, nil
		})
	})
	unread := c.Watch(t.Context())
	checkEcho(t, c, "query-status")

	lost, seen := 0, 0
	for e := range unread {
		var data struct{ N int }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		lost += e.Lost
		if data.N != lost+seen {
			t.Fatalf("event %d came after %d seen and %d lost", data.N, seen, lost)
		}
		seen++
		if data.N == qmp.QueueLen+extra-1 {
			break
		}
	}
	// One event may have left the queue for the channel before the overrun.
	if lost < extra-1 || seen < qmp.QueueLen || seen > qmp.QueueLen+1 {
		t.Errorf("%d events seen and %d lost", seen, lost)
	}
}

func TestEventsBetweenReplies(t *testing.T) {
	c := dial(t, func(p *qmptest.Peer) error {
		return p.Serve(func(c qmptest.Command) (any, error) {
			err := errors.Join(p.Emit("BEFORE", map[string]string{"command": c.Execute}), p.Emit("NOISE", nil))
			return c.Execute, err
		})
	})
	start := time.Now()
	some, all := c.Watch(t.Context(), "BEFORE", "OTHER"), c.Watch(t.Context())
	checkEcho(t, c, "one")
	checkEcho(t, c, "two")
	for _, want := range []string{"one", "two"} {
		e := <-some
		if got := string(e.Data); e.Name != "BEFORE" || got != `{"command":"`+want+`"}` {
			t.Errorf("event %s %s, want one of %s", e.Name, got, want)
		}
		if e.At.Before(start) || e.QEMU.UnixMicro() != 1795302351738077 {
			t.Errorf("times are %v and %v", e.At, e.QEMU)
		}
	}
	for _, want := range []string{"BEFORE", "NOISE", "BEFORE", "NOISE"} {
		if e := <-all; e.Name != want {
			t.Errorf("event %s, want %s", e.Name, want)
		}
	}
}

func TestWatchEnds(t *testing.T) {
	c := dial(t, func(p *qmptest.Peer) error {
		if _, err := p.Next(); err != nil {
			return err
		}
		return p.Emit("SHUTDOWN", map[string]any{"guest": false, "reason": "host-signal"})
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancelled, lasting := c.Watch(ctx), c.Watch(t.Context())
	cancel()
	if e, ok := <-cancelled; ok {
		t.Errorf("a cancelled watch got %v", e)
	}
	checkError(t, c.Do(within(t, patience), "quit", nil, nil), qmp.ErrGone, blame.Hypervisor)
	if e := <-lasting; e.Name != "SHUTDOWN" {
		t.Errorf("last event is %q", e.Name)
	}
	if e, ok := <-lasting; ok {
		t.Errorf("after QEMU's end came %v", e)
	}
	<-c.Done()
	if _, ok := <-c.Watch(t.Context()); ok {
		t.Error("a watch of an ended connection is open")
	}
}

func TestBigReply(t *testing.T) {
	big := strings.Repeat("plug", 1<<18)
	c := dial(t, func(p *qmptest.Peer) error {
		return p.Serve(func(c qmptest.Command) (any, error) {
			if c.Execute == "big" {
				return big, nil
			}
			return c.Execute, nil
		})
	})
	var got string
	if err := c.Do(within(t, patience), "big", nil, &got); err != nil {
		t.Fatal(err)
	}
	if got != big {
		t.Errorf("%d bytes arrived of %d", len(got), len(big))
	}
	checkEcho(t, c, "small")
}

func TestSilence(t *testing.T) {
	c := dial(t, (*qmptest.Peer).Silence)
	// Far more than a socket buffers, so that the writer is stuck too.
	args := map[string]string{"pad": strings.Repeat("x", 4<<20)}
	for range 3 {
		err := c.Do(within(t, brief), "device_add", args, nil)
		checkError(t, err, context.DeadlineExceeded, blame.Hypervisor)
	}
	if c.Err() != nil {
		t.Errorf("silence ended the connection: %v", c.Err())
	}
}

func TestCancelledIsNobodysFault(t *testing.T) {
	c := dial(t, (*qmptest.Peer).Silence)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := blame.Errorf(blame.User, "", "interrupted")
	context.AfterFunc(within(t, brief), func() { cancel(cause) })
	err := c.Do(ctx, "query-status", nil, nil)
	checkError(t, err, cause, blame.User)
	checkError(t, c.Do(ctx, "query-status", nil, nil), cause, blame.User)
}

func TestLateReplyIsDropped(t *testing.T) {
	c := dial(t, func(p *qmptest.Peer) error {
		slow, err := p.Next()
		if err != nil {
			return err
		}
		next, err := p.Next()
		if err != nil {
			return err
		}
		return errors.Join(p.Return(slow, "late"), p.Return(next, next.Execute), p.Return(slow, "twice"), echo(p))
	})
	err := c.Do(within(t, brief), "slow", nil, nil)
	checkError(t, err, context.DeadlineExceeded, blame.Hypervisor)
	checkEcho(t, c, "next")
	checkEcho(t, c, "last")
}

func TestDeathMidCommand(t *testing.T) {
	const lanes = 8
	c := dial(t, func(p *qmptest.Peer) error {
		for range lanes {
			if _, err := p.Next(); err != nil {
				return err
			}
		}
		return p.Say(`{"return": {"status": "run`)
	})
	var wg sync.WaitGroup
	for range lanes {
		wg.Go(func() {
			checkError(t, c.Do(within(t, patience), "query-status", nil, nil), qmp.ErrGone, blame.Hypervisor)
		})
	}
	wg.Wait()
	checkEnded(t, c, qmp.ErrGone)
}

func TestBreaches(t *testing.T) {
	for name, text := range map[string]string{
		"garbage":             "malloc(): unsorted double linked list corrupted",
		"another JSON type":   `[1, 2]`,
		"fields of odd types": `{"event": 7}`,
		"neither":             `{"hello": "world"}`,
		"reply without id":    `{"return": {}}`,
		"error without id":    `{"error": {"class": "GenericError", "desc": "JSON parse error"}}`,
		"wrong id":            `{"return": {}, "id": 4711}`,
		"negative id":         `{"return": {}, "id": -1}`,
		"id of another type":  `{"return": {}, "id": "libvirt-1"}`,
		"too deep":            strings.Repeat(`{"return":`, 20000),
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, func(p *qmptest.Peer) error {
				if _, err := p.Next(); err != nil {
					return err
				}
				return errors.Join(p.Say(text), p.Silence()) // no end of line, no end of file
			})
			checkError(t, c.Do(within(t, patience), "query-status", nil, nil), qmp.ErrProtocol, blame.Hypervisor)
			checkEnded(t, c, qmp.ErrProtocol)
		})
	}
}

func TestReplyWithoutResult(t *testing.T) {
	c := dial(t, func(p *qmptest.Peer) error {
		cmd, err := p.Next()
		if err != nil {
			return err
		}
		return errors.Join(p.Say(fmt.Sprintf(`{"id": %s}`, cmd.ID)), echo(p))
	})
	checkError(t, c.Do(within(t, patience), "stop", nil, nil), qmp.ErrProtocol, blame.Hypervisor)
	checkEcho(t, c, "next")
}

func TestRepliesOutOfOrder(t *testing.T) {
	const lanes = 16
	c := dial(t, func(p *qmptest.Peer) error {
		var got []qmptest.Command
		for range lanes {
			cmd, err := p.Next()
			if err != nil {
				return err
			}
			got = append(got, cmd)
		}
		for i := range got {
			cmd := got[lanes-1-i]
			if err := p.Return(cmd, cmd.Execute); err != nil {
				return err
			}
		}
		return echo(p)
	})
	var wg sync.WaitGroup
	for i := range lanes {
		wg.Go(func() {
			name, reply := fmt.Sprint("command-", i), ""
			if err := c.Do(within(t, patience), name, nil, &reply); err != nil || reply != name {
				t.Errorf("reply to %s is %q, %v", name, reply, err)
			}
		})
	}
	wg.Wait()
	checkEcho(t, c, "next")
}

// TestByteByByte uses a pipe without a buffer, so that every byte is a read.
func TestByteByByte(t *testing.T) {
	ours, theirs := net.Pipe()
	script := make(chan error, 1)
	go func() {
		p := qmptest.NewPeer(theirs)
		defer theirs.Close()
		script <- func() error {
			if err := p.Greet(); err != nil {
				return err
			}
			cmd, err := p.Next()
			if err != nil {
				return err
			}
			return p.Dribble("{\"event\": \"RESET\"}\r\n{\"return\": \"query-\\u0073tatus\", \"id\": " + string(cmd.ID) + "}\r\n")
		}()
	}()
	c, err := qmp.NewConn(within(t, patience), ours)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	events := c.Watch(t.Context())
	checkEcho(t, c, "query-status")
	if e := <-events; e.Name != "RESET" || e.Data != nil {
		t.Errorf("event is %+v", e)
	}
	if err := <-script; err != nil {
		t.Error(err)
	}
	checkEnded(t, c, qmp.ErrGone)
}

func TestClose(t *testing.T) {
	c := dial(t, (*qmptest.Peer).Silence)
	result := make(chan error, 1)
	go func() { result <- c.Do(within(t, patience), "stop", nil, nil) }()
	events := c.Watch(t.Context())
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	checkError(t, <-result, qmp.ErrClosed, blame.Harness)
	checkError(t, c.Err(), qmp.ErrClosed, blame.Harness)
	if e, ok := <-events; ok {
		t.Errorf("a closed connection brought %v", e)
	}
}

func TestOurMistakes(t *testing.T) {
	c := dial(t, echo)
	if err := c.Do(within(t, patience), "x", make(chan int), nil); blame.Of(err) != blame.Harness {
		t.Errorf("arguments that aren't JSON: %v", err)
	}
	var number int
	if err := c.Do(within(t, patience), "x", nil, &number); blame.Of(err) != blame.Hypervisor {
		t.Errorf("a reply of another type: %v", err)
	}
	checkEcho(t, c, "next")
}
