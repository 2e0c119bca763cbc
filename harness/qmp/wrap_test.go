// SPDX-License-Identifier: Apache-2.0

package qmp_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	goqemu "github.com/digitalocean/go-qemu/qmp"
	goqemutest "github.com/digitalocean/go-qemu/qmp/qmptest"

	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
	"plugstorm/harness/qmp/qmptest"
)

// A foreign is a go-qemu monitor with the manners of LibvirtRPCMonitor: an
// unbuffered event channel without a context, and errors that are all alike.
type foreign struct {
	run    func(goqemu.Command) ([]byte, error)
	events chan goqemu.Event
	once   sync.Once
}

func newForeign(run func(goqemu.Command) ([]byte, error)) *foreign {
	return &foreign{run: run, events: make(chan goqemu.Event)}
}

func (f *foreign) Connect() error    { return nil }
func (f *foreign) Disconnect() error { f.once.Do(func() { close(f.events) }); return nil }
func (f *foreign) Events(context.Context) (<-chan goqemu.Event, error) {
	return f.events, nil
}
func (f *foreign) Run(raw []byte) ([]byte, error) {
	var c goqemu.Command
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	return f.run(c)
}

func wrap(t *testing.T, m goqemu.Monitor) *qmp.Wrapped {
	t.Helper()
	w, err := qmp.Wrap(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func foreignEcho(c goqemu.Command) ([]byte, error) {
	return json.Marshal(map[string]any{"return": c.Execute, "id": "libvirt-7"})
}

func TestWrapGoQEMUsOwnFake(t *testing.T) {
	w := wrap(t, goqemutest.NewMonitor(func(c goqemu.Command) (any, error) {
		return map[string]string{"return": c.Execute}, nil
	}))
	checkEcho(t, w, "query-status")
}

func TestWrapDrainsEvents(t *testing.T) {
	f := newForeign(foreignEcho)
	w := wrap(t, f)
	events := w.Watch(t.Context(), "DEVICE_DELETED")
	for range 100 { // nobody reads events yet
		f.events <- goqemu.Event{Event: "DEVICE_DELETED", Data: map[string]any{"device": "d1", "path": "/p"}}
		f.events <- goqemu.Event{Event: "RTC_CHANGE"}
	}
	checkEcho(t, w, "query-status")
	for range 100 {
		e := <-events
		if v, err := e.Decode(); err != nil || v != (qmp.DeviceDeleted{Device: "d1", Path: "/p"}) {
			t.Fatalf("event is %v, %v", v, err)
		}
	}
	f.Disconnect()
	if e, ok := <-events; ok {
		t.Errorf("after the end came %v", e)
	}
	checkEnded(t, w, qmp.ErrGone)
}

func TestWrapTellsRefusalFromBreak(t *testing.T) {
	alive := true
	w := wrap(t, newForeign(func(c goqemu.Command) ([]byte, error) {
		if !alive || c.Execute == "device_add" {
			return nil, errors.New("text")
		}
		return foreignEcho(c)
	}))
	err := qmp.DeviceAdd(within(t, patience), w, "pc-dimm", "d1", nil)
	var refusal *qmp.Error
	if !errors.As(err, &refusal) || refusal.Desc != "text" || refusal.Command != "device_add" {
		t.Errorf("a refusal is %v", err)
	}
	checkEcho(t, w, "query-status")
	alive = false
	checkError(t, w.Do(within(t, patience), "stop", nil, nil), qmp.ErrGone, blame.Hypervisor)
	checkEnded(t, w, qmp.ErrGone)
}

func TestWrapRefusalAsQMP(t *testing.T) {
	w := wrap(t, newForeign(func(goqemu.Command) ([]byte, error) {
		return []byte(`{"error": {"class": "GenericError", "desc": "slot busy"}, "id": "libvirt-7"}`), nil
	}))
	var refusal *qmp.Error
	if err := w.Do(within(t, patience), "x", nil, nil); !errors.As(err, &refusal) || refusal.Class != "GenericError" {
		t.Errorf("error is %v", err)
	}
}

func TestWrapSilence(t *testing.T) {
	release := make(chan struct{})
	running := make(chan string, 10)
	w := wrap(t, newForeign(func(c goqemu.Command) ([]byte, error) {
		running <- c.Execute
		<-release
		return foreignEcho(c)
	}))
	for _, command := range []string{"first", "second"} {
		err := w.Do(within(t, brief), command, nil, nil)
		checkError(t, err, context.DeadlineExceeded, blame.Hypervisor)
	}
	if len(running) != 1 {
		t.Errorf("%d commands hold a goroutine, want 1", len(running))
	}
	close(release)
	checkEcho(t, w, "third") // gets its own reply, not the late one
}

func TestWrapDeathMidCommand(t *testing.T) {
	stuck := make(chan struct{})
	defer close(stuck)
	running := make(chan struct{}, 1)
	w := wrap(t, newForeign(func(goqemu.Command) ([]byte, error) {
		running <- struct{}{}
		<-stuck
		return nil, errors.New("never seen")
	}))
	result := make(chan error, 1)
	go func() { result <- w.Do(within(t, patience), "stop", nil, nil) }()
	<-running
	cause := errors.New("domain crashed")
	w.Gone(cause)
	err := <-result
	checkError(t, err, qmp.ErrGone, blame.Hypervisor)
	checkError(t, err, cause, blame.Hypervisor)
	checkEnded(t, w, qmp.ErrGone)
}

func TestWrapGarbage(t *testing.T) {
	w := wrap(t, newForeign(func(goqemu.Command) ([]byte, error) { return []byte("qemu: oops"), nil }))
	checkError(t, w.Do(within(t, patience), "stop", nil, nil), qmp.ErrProtocol, blame.Hypervisor)
	checkEnded(t, w, qmp.ErrProtocol)
}

type noEvents struct{ *foreign }

func (noEvents) Events(context.Context) (<-chan goqemu.Event, error) {
	return nil, goqemu.ErrEventsNotSupported
}

func TestWrapNeedsEvents(t *testing.T) {
	_, err := qmp.Wrap(noEvents{newForeign(foreignEcho)})
	checkError(t, err, goqemu.ErrEventsNotSupported, blame.Hypervisor)
}

func TestWrapClose(t *testing.T) {
	w := wrap(t, newForeign(foreignEcho))
	events := w.Watch(t.Context())
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, ok := <-events; ok {
		t.Error("a closed monitor has events")
	}
	checkError(t, w.Err(), qmp.ErrClosed, blame.Harness)
	checkError(t, w.Do(within(t, patience), "stop", nil, nil), qmp.ErrClosed, blame.Harness)
}

// TestThereAndBack hands our transport to go-qemu and takes it back.
func TestThereAndBack(t *testing.T) {
	c := dial(t, func(p *qmptest.Peer) error {
		return p.Serve(func(c qmptest.Command) (any, error) {
			if c.Execute == "fail" {
				return nil, &qmp.Error{Class: "GenericError", Desc: "no"}
			}
			return c.Execute, p.Emit("RESET", map[string]any{"guest": true, "reason": "guest-reset"})
		})
	})
	w := wrap(t, qmp.AsGoQEMU(t.Context(), c))
	events := w.Watch(t.Context())
	checkEcho(t, w, "stop")
	select {
	case e := <-events:
		v, err := e.Decode()
		if want := (qmp.Reset{Guest: true, Reason: "guest-reset"}); err != nil || v != want || e.QEMU.UnixMicro() != 1795302351738077 {
			t.Errorf("event is %v %v, %v", v, e, err)
		}
	case <-time.After(patience):
		t.Fatal("no event")
	}
	var refusal *qmp.Error
	if err := w.Do(within(t, patience), "fail", nil, nil); !errors.As(err, &refusal) {
		t.Errorf("error is %v", err)
	}
}
