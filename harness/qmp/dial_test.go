// SPDX-License-Identifier: Apache-2.0

package qmp_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
	"plugstorm/harness/qmp/qmptest"
)

func TestDialReadsVersion(t *testing.T) {
	if v := dial(t, echo).Version(); v.String() != "10.0.2" {
		t.Errorf("version is %v", v)
	}
}

func TestDialWaitsForSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "qmp")
	result := make(chan error, 1)
	go func() {
		c, err := qmp.Dial(within(t, patience), path)
		if err == nil {
			err = c.Close()
		}
		result <- err
	}()
	if _, err := qmp.Dial(within(t, brief), path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a socket Dial returned %v", err)
	}
	s, err := qmptest.Listen(path, func(p *qmptest.Peer) error { return errors.Join(p.Greet(), echo(p)) })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestDialFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script qmptest.Script
		reason error
	}{
		{"no greeting", (*qmptest.Peer).Silence, context.DeadlineExceeded},
		{"hangs up", func(p *qmptest.Peer) error { return nil }, qmp.ErrGone},
		{"not QMP", func(p *qmptest.Peer) error { return p.Say("SSH-2.0-OpenSSH_9.2\r\n") }, qmp.ErrProtocol},
		{"no greeting but a reply", func(p *qmptest.Peer) error { return p.Say(`{"return": {}}`) }, qmp.ErrProtocol},
		{"negotiation unanswered", func(p *qmptest.Peer) error {
			return errors.Join(p.Say(qmptest.Banner), p.Silence())
		}, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			patience := patience
			if tt.reason == context.DeadlineExceeded {
				patience = 4 * brief
			}
			_, err := qmp.Dial(within(t, patience), listen(t, tt.script).Path)
			checkError(t, err, tt.reason, blame.Hypervisor)
		})
	}
}

func TestDialTellsWhyItWasCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	exit := blame.Errorf(blame.Host, "", "cannot set up guest memory")
	cancel(exit)
	_, err := qmp.Dial(ctx, filepath.Join(t.TempDir(), "qmp"))
	checkError(t, err, exit, blame.Host)
	checkError(t, err, context.Canceled, blame.Host)
}

func TestDialRefusesLongPath(t *testing.T) {
	_, err := qmp.Dial(t.Context(), "/"+strings.Repeat("x", 107))
	if blame.Of(err) != blame.User || blame.Next(err) == "" {
		t.Errorf("error is %v", err)
	}
}
