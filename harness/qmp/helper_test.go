// SPDX-License-Identifier: Apache-2.0

package qmp_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
	"plugstorm/harness/qmp/qmptest"
)

// patience ends a test that hangs; no test passes by waiting for it.
const patience = time.Minute

// brief is the deadline of commands that are never answered.
const brief = 50 * time.Millisecond

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func listen(t *testing.T, script qmptest.Script) *qmptest.Server {
	t.Helper()
	s, err := qmptest.Listen(filepath.Join(t.TempDir(), "qmp"), script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("script: %v", err)
		}
	})
	return s
}

// dial connects to a fake QEMU which plays script after a healthy greeting.
func dial(t *testing.T, script qmptest.Script) *qmp.Conn {
	t.Helper()
	s := listen(t, func(p *qmptest.Peer) error {
		if err := p.Greet(); err != nil {
			return err
		}
		return script(p)
	})
	c, err := qmp.Dial(within(t, patience), s.Path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echo answers every command with its own name.
func echo(p *qmptest.Peer) error {
	return p.Serve(func(c qmptest.Command) (any, error) { return c.Execute, nil })
}

// checkEcho insists that m still works.
func checkEcho(t *testing.T, m qmp.Monitor, command string) {
	t.Helper()
	var reply string
	if err := m.Do(within(t, patience), command, nil, &reply); err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	if reply != command {
		t.Fatalf("reply to %q is %q", command, reply)
	}
}

// checkEnded insists that the connection has ended for the given reason.
func checkEnded(t *testing.T, m qmp.Monitor, reason error) {
	t.Helper()
	select {
	case <-m.Done():
	case <-within(t, patience).Done():
		t.Fatal("the connection didn't end")
	}
	checkError(t, m.Err(), reason, blame.Hypervisor)
	checkError(t, m.Do(within(t, patience), "later", nil, nil), reason, blame.Hypervisor)
}

func checkError(t *testing.T, err, reason error, owner blame.Party) {
	t.Helper()
	if !errors.Is(err, reason) {
		t.Errorf("error is %v, want %v", err, reason)
	}
	if got := blame.Of(err); got != owner {
		t.Errorf("%v is blamed on %q, want %q", err, got, owner)
	}
}
