// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	_ "plugstorm/workloads" // fills the catalog
)

// The child's side: one workload in a process of its own, started as
//
//	/init workload NAME PARAMS
//
// with its params as JSON and descriptor 3 as the pipe for its counts.
const (
	childCommand = "workload"
	countsFD     = 3
	countsEvery  = 500 * time.Millisecond

	// A workload is a better victim for the OOM killer than anything else.
	childOOMScore = 500
)

// counts is what a child tells the agent, a JSON line at a time. The last line
// has Ended set.
type counts struct {
	Rounds  uint64 `json:"rounds"`
	Refused uint64 `json:"refused"`
	Error   string `json:"error,omitempty"`
	Ended   bool   `json:"ended,omitempty"`
}

// A meter implements agent.Meter.
type meter struct{ rounds, refused atomic.Uint64 }

func (m *meter) Done()         { m.rounds.Add(1) }
func (m *meter) Refused(error) { m.refused.Add(1) }

func (m *meter) counts() counts {
	return counts{Rounds: m.rounds.Load(), Refused: m.refused.Load()}
}

// workloadMain is the child's main function and returns its exit code.
func workloadMain(name, params string) int {
	unix.CloseOnExec(countsFD)
	out := json.NewEncoder(os.NewFile(countsFD, "counts"))
	var m meter
	err := runWorkload(name, params, &m, out)
	last := m.counts()
	last.Ended = true
	if err != nil {
		last.Error = err.Error()
	}
	if out.Encode(last) != nil {
		return 1
	}
	return 0
}

// runWorkload runs until SIGTERM or the workload's own end.
func runWorkload(name, params string, m *meter, out *json.Encoder) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	w, err := agent.Workloads.Get(name)
	if err != nil {
		return err
	}
	var p agent.Params
	if err := json.Unmarshal([]byte(params), &p); err != nil {
		return fmt.Errorf("params: %w", err)
	}
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(childOOMScore)), 0); err != nil {
		return err
	}
	if err := nice("/proc/self/task", 0); err != nil {
		return err
	}
	// What the agent switched off for itself is inherited.
	if err := unix.Prctl(unix.PR_SET_THP_DISABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl(PR_SET_THP_DISABLE): %w", err)
	}
	counting := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(counting)
		tick := time.NewTicker(countsEvery)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				_ = out.Encode(m.counts()) // an agent that is gone has killed us already
			}
		}
	}()
	err = w.Run(ctx, p, m)
	close(over)
	<-counting
	return err
}
