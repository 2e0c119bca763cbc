// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
)

func TestWake(t *testing.T) {
	var stirred []byte
	var clock unix.Timespec
	a := &guestAgent{
		stir:     func(_ string, entropy []byte) error { stirred = entropy; return nil },
		setClock: func(now unix.Timespec) error { clock = now; return nil },
	}
	entropy := bytes.Repeat([]byte{7}, entropyMin)
	now := time.Date(2026, 11, 25, 10, 0, 0, 5, time.UTC).UnixNano()
	result, err := a.wake(agent.WakeParams{Entropy: entropy, UnixNS: now})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stirred, entropy) || clock.Nano() != now {
		t.Errorf("stirred %x, clock %d", stirred, clock.Nano())
	}
	reply := result.(agent.WakeReply)
	if len(reply.WorkNS) != workRounds || reply.UptimeMS <= 0 {
		t.Errorf("reply %+v", reply)
	}
	for _, ns := range reply.WorkNS {
		if ns < 1000 {
			t.Errorf("a round took %d ns: there is no work in it", ns)
		}
	}
}

func TestWakeFails(t *testing.T) {
	broken := errors.New("broken")
	fine := func(string, []byte) error { return nil }
	for name, a := range map[string]*guestAgent{
		"stir":  {stir: func(string, []byte) error { return broken }},
		"clock": {stir: fine, setClock: func(unix.Timespec) error { return broken }},
	} {
		if _, err := a.wake(agent.WakeParams{Entropy: make([]byte, entropyMin)}); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a := &guestAgent{stir: fine, setClock: func(unix.Timespec) error { return nil }}
	if _, err := a.wake(agent.WakeParams{Entropy: make([]byte, entropyMin-1)}); err == nil {
		t.Error("too little entropy is no error")
	}
}
