// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"strings"
	"testing"
	"time"
)

// A stopMeter stops a workload after some rounds.
type stopMeter struct {
	left, rounds int
	stop         context.CancelFunc
}

func (m *stopMeter) Done() {
	m.rounds++
	if m.left--; m.left == 0 {
		m.stop()
	}
}

func (m *stopMeter) Refused(error) {}

// TestPeerProgram: rounds go on while the program does its work, a failure of
// what it tests included; a program that can't do it ends the workload and says
// why, the end of its words first of all.
func TestPeerProgram(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		limit        time.Duration
		rounds       int
		err          string
	}{
		{"works", "exit 0", time.Minute, 3, ""},
		{"finds a failure", "exit 1", time.Minute, 3, ""},
		{"skips", "echo no memory; exit 4", time.Minute, 0, "exit status 4: no memory"},
		{"hangs", "exec sleep 1000", 50 * time.Millisecond, 0, "signal: killed"},
		{"talks", "i=0; while [ $i -lt 500 ]; do echo chatter $i; i=$((i+1)); done; exit 7", time.Minute, 0, "chatter 499"},
	} {
		ctx, stop := context.WithCancel(t.Context())
		m := &stopMeter{left: 3, stop: stop}
		err := peerProgram{name: "test", argv: [][]string{{"/bin/sh", "-c", tt.script}}, limit: tt.limit, codes: []int{1}}.run(ctx, m)
		stop()
		switch {
		case (err != nil) != (tt.err != "") || m.rounds != tt.rounds:
			t.Errorf("%s: %d rounds, %v", tt.name, m.rounds, err)
		case err != nil && (!strings.Contains(err.Error(), tt.err) || len(err.Error()) > 2*tailMax):
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	err := peerProgram{name: "test", argv: [][]string{{"/nowhere"}}, limit: time.Minute}.run(t.Context(), &stopMeter{})
	if err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("a missing program: %v", err)
	}
}
