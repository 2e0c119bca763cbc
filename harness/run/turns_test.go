// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/focus"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm/vmtest"
	"plugstorm/workloads"
)

// TestTurns: each guest gets the next part for its slice, and nothing of
// another part's.
func TestTurns(t *testing.T) {
	first, second := calm(), only(schedule.Lane{CPUs: 1, Gap: time.Second}, op.CPUOffline, op.CPUOnline)
	first.Name, second.Name = "first", "second"
	first.KernelArgs = []string{"first"}
	second.Workloads = []op.WorkloadStart{{ID: "other", Name: workloads.PercpuStorm.Name}}
	r := play{seed: 1, duration: time.Minute, scenario: schedule.InTurn("both", "", time.Hour, 20*time.Second, first, second)}.perform(t)
	if r.err != nil {
		t.Fatal(r.err)
	}
	const over = "guest-end  its part of the run's time is up"
	// What is left for the third one is shorter than its slice, by the boots.
	r.expect(t, lines(runStart, "1 guest-start", "1 agent-up", "1 workload", "1 "+over,
		"2 guest-start", "2 agent-up", "2 workload", "2 "+over,
		"3 guest-start", "3 agent-up", "3 workload", "3 guest-end", runEnd)...)
	for guest, part := range map[int]string{1: "second/", 2: "first/", 3: "second/"} {
		for _, e := range r.steps(history.StepBegin, guest) {
			if lane := e.Step.Lane; lane != "workloads" && !strings.HasPrefix(lane, part) {
				t.Errorf("guest %d does a step of lane %s", guest, lane)
			}
		}
		if slices.Contains(r.specs[guest-1].KernelArgs, "first") != (part == "first/") {
			t.Errorf("guest %d: %q", guest, r.specs[guest-1].KernelArgs)
		}
	}
}

// TestTurnsToward: a run goes by its focus, in the order of turns and in their
// length.
func TestTurnsToward(t *testing.T) {
	parts := []*schedule.Scenario{calm(), calm(), calm(), only(schedule.Lane{CPUs: 1, Gap: time.Second}, op.CPUOffline, op.CPUOnline)}
	for i, name := range []string{"a", "b", "c", "near"} {
		parts[i].Name = name
	}
	s := schedule.InTurn("all", "", time.Hour, 20*time.Second, parts...).Toward([]focus.Place{{File: "kernel/cpu.c", Func: "_cpu_down"}})
	r := play{seed: 0, duration: 2 * time.Minute, scenario: s}.perform(t)
	if r.err != nil {
		t.Fatal(r.err)
	}
	var turns []string
	var up time.Duration
	for _, e := range r.Events {
		switch e.Type {
		case history.GuestStart:
			turns = append(turns, e.Part)
		case history.AgentUp:
			up = e.At
		case history.GuestEnd:
			turns[len(turns)-1] += fmt.Sprintf(" %d", int((e.At - up).Round(time.Second).Seconds()))
		}
	}
	if got, want := strings.Join(turns, ", "), "near 20, a 20, b 10, near 40, c 10"; !strings.HasPrefix(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestWornOut: a guest in which a lane gets nothing done any more makes room for
// a new one.
func TestWornOut(t *testing.T) {
	var asked int
	r := play{
		scenario: only(schedule.Lane{CPUs: 1, Gap: time.Second}, op.CPUOffline, op.CPUOnline), duration: 10 * time.Minute,
		character: func(n int) vmtest.Character {
			if n > 1 {
				return vmtest.Character{}
			}
			return vmtest.Character{Methods: map[string]vmtest.Handler{agent.MethodSetCPU: func(*vmtest.Guest, json.RawMessage) (any, error) {
				if asked++; asked == 1 {
					return nil, nil
				}
				return nil, &agent.Error{Errno: "EBUSY", Message: "write online: device or resource busy"}
			}}}
		},
	}.perform(t)
	if r.err != nil || len(r.guests) != 2 {
		t.Fatalf("%d guests, %v; want a second one", len(r.guests), r.err)
	}
	for _, e := range r.Events {
		if e.Type == history.GuestEnd && e.Guest == 1 && !strings.Contains(e.Text, "refused 60 times in a row in lane only") {
			t.Errorf("guest 1 ended: %s", e.Text)
		}
	}
	if last := r.steps(history.StepEnd, 1); len(last) > 200 {
		t.Errorf("%d steps before it was noticed", len(last))
	}
}
