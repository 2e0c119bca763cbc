// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/history"
	"plugstorm/harness/vm/vmtest"
)

// TestStuck: a hang that the kernel hasn't reported by the end of the storm is
// waited for, and the kernel is asked; what only takes its time is let go.
func TestStuck(t *testing.T) {
	for _, tt := range []struct {
		name  string
		tasks func(look int) []agent.BlockedTask
		stuck string // of the event; empty for none
		took  [2]time.Duration
	}{
		{"nothing blocked", func(int) []agent.BlockedTask { return nil }, "", [2]time.Duration{10 * time.Second, 12 * time.Second}},
		{"it goes on", func(look int) []agent.BlockedTask {
			if look > 9 {
				return nil
			}
			return []agent.BlockedTask{{PID: 7, Name: "exe", Switches: 3}}
		}, "", [2]time.Duration{12 * time.Second, 16 * time.Second}},
		{"another one each time", func(look int) []agent.BlockedTask {
			return []agent.BlockedTask{{PID: 7, Name: "exe", Switches: uint64(look)}}
		},
			"", [2]time.Duration{10 * time.Second, 14 * time.Second}},
		{"for ever", func(look int) []agent.BlockedTask {
			return []agent.BlockedTask{{PID: 7, Name: "exe", Switches: uint64(look)}, {PID: 9, Name: "kworker/0:1", Switches: 5}}
		}, "blocked for 15s or longer after the storm: kworker/0:1/9", [2]time.Duration{25 * time.Second, 90 * time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			looks := 0
			var wrote []string
			p := play{duration: 10 * time.Second, character: func(int) vmtest.Character {
				return vmtest.Character{Methods: map[string]vmtest.Handler{
					agent.MethodBlocked: func(*vmtest.Guest, json.RawMessage) (any, error) {
						looks++
						return agent.BlockedReply{Tasks: tt.tasks(looks)}, nil
					},
					agent.MethodWriteFile: func(_ *vmtest.Guest, params json.RawMessage) (any, error) {
						var f agent.FileParams
						err := json.Unmarshal(params, &f)
						wrote = append(wrote, f.Path[strings.LastIndex(f.Path, "/")+1:]+"="+f.Data)
						return nil, err
					},
				}}
			}}
			r := p.perform(t)
			got := ""
			for _, e := range r.steps(history.Stuck, 1) {
				got += e.Text
			}
			if got != tt.stuck {
				t.Errorf("it says %q", got)
			}
			asked := slices.Contains(wrote, "hung_task_timeout_secs=10") && slices.Contains(wrote, "sysrq-trigger=d") && slices.Contains(wrote, "sysrq-trigger=w")
			if asked != (tt.stuck != "") {
				t.Errorf("it wrote %q", wrote)
			}
			if r.took < tt.took[0] || r.took > tt.took[1] {
				t.Errorf("it took %s", r.took)
			}
			if faults := r.steps(history.Fault, 1); len(faults) != 0 {
				t.Errorf("faults: %+v", faults)
			}
		})
	}
}

// TestStuckUnknown: a guest that can't tell whether it is stuck is no clean one.
func TestStuckUnknown(t *testing.T) {
	p := play{duration: 10 * time.Second, character: func(int) vmtest.Character {
		return vmtest.Character{Methods: map[string]vmtest.Handler{
			agent.MethodBlocked: func(*vmtest.Guest, json.RawMessage) (any, error) { return nil, vmtest.ErrNoAnswer },
		}}
	}}
	faults := p.perform(t).steps(history.Fault, 1)
	if len(faults) != 1 || !strings.Contains(faults[0].Text, "which tasks are blocked") || faults[0].Party != "harness" {
		t.Errorf("faults: %+v", faults)
	}
}
