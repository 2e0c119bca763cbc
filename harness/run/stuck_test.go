// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/history"
	"plugstorm/harness/splat"
	"plugstorm/harness/vm/vmtest"
)

// A blockage is a guest in which tasks are blocked.
type blockage struct {
	tasks func(at time.Duration, look int) []agent.BlockedTask // at: since it was first asked, about when its storm begins
	says  string                                               // on SysRq-w

	mu    sync.Mutex // requests are served side by side
	began time.Time
	looks int
	wrote []string // NAME=DATA of what was written to files
}

func (b *blockage) character(int) vmtest.Character {
	return vmtest.Character{Methods: map[string]vmtest.Handler{
		agent.MethodBlocked: func(*vmtest.Guest, json.RawMessage) (any, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.looks++; b.looks == 1 {
				b.began = time.Now()
			}
			return agent.BlockedReply{Tasks: b.tasks(time.Since(b.began), b.looks)}, nil
		},
		agent.MethodWriteFile: func(g *vmtest.Guest, params json.RawMessage) (any, error) {
			var f agent.FileParams
			err := json.Unmarshal(params, &f)
			b.mu.Lock()
			defer b.mu.Unlock()
			b.wrote = append(b.wrote, f.Path[strings.LastIndex(f.Path, "/")+1:]+"="+f.Data)
			if f.Data == "w" && b.says != "" {
				g.Print(b.says)
			}
			return nil, err
		},
	}}
}

func (b *blockage) wasAsked(what ...string) bool {
	return !slices.ContainsFunc(what, func(w string) bool { return !slices.Contains(b.wrote, w) })
}

func stuckText(r *record) string {
	text := ""
	for _, e := range r.steps(history.Stuck, 1) {
		text += e.Text
	}
	return text
}

// TestStuck: a hang that the kernel hasn't reported by the end of the storm is
// waited for, and the kernel is asked; what only takes its time is let go.
func TestStuck(t *testing.T) {
	for _, tt := range []struct {
		name     string
		tasks    func(at time.Duration, look int) []agent.BlockedTask
		stuck    string // of the event; empty for none
		min, max time.Duration
	}{
		{"nothing blocked", func(time.Duration, int) []agent.BlockedTask { return nil }, "", 10 * time.Second, 12 * time.Second},
		{"it goes on", func(at time.Duration, _ int) []agent.BlockedTask {
			if at > 14*time.Second {
				return nil
			}
			return []agent.BlockedTask{{PID: 7, Name: "exe", Switches: 3}}
		}, "", 14 * time.Second, 25 * time.Second},
		{"it runs now and then", func(_ time.Duration, look int) []agent.BlockedTask {
			return []agent.BlockedTask{{PID: 7, Name: "exe", Switches: uint64(look)}}
		}, "", 10 * time.Second, 12 * time.Second},
		{"others come and go", func(at time.Duration, _ int) []agent.BlockedTask {
			return []agent.BlockedTask{{PID: int(at / (12 * time.Second)), Name: "exe", Switches: 1}}
		}, "", 12 * time.Second, 15 * time.Second},
		{"for ever", func(_ time.Duration, look int) []agent.BlockedTask {
			return []agent.BlockedTask{{PID: 7, Name: "exe", Switches: uint64(look)}, {PID: 9, Name: "kworker/0:1", Switches: 5}}
		}, "blocked although the storm is over: kworker/0:1/9", 25 * time.Second, 60 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &blockage{tasks: tt.tasks}
			r := play{duration: 10 * time.Second, character: b.character}.perform(t)
			if got := stuckText(r); got != tt.stuck {
				t.Errorf("it says %q", got)
			}
			if asked := b.wasAsked("hung_task_timeout_secs=10"); asked != (tt.stuck != "") {
				t.Errorf("it wrote %q", b.wrote)
			}
			if r.took < tt.min || r.took > tt.max {
				t.Errorf("it took %s", r.took)
			}
			if faults := r.steps(history.Fault, 1); len(faults) != 0 {
				t.Errorf("faults: %+v", faults)
			}
		})
	}
}

// TestDeadlock: tasks that wait for each other are found while the storm goes
// on, by what the kernel says of them when it is asked.
func TestDeadlock(t *testing.T) {
	both := func(time.Duration, int) []agent.BlockedTask {
		return []agent.BlockedTask{{PID: 98, Name: "deadlock/first", Switches: 5}, {PID: 99, Name: "deadlock/second", Switches: 5}}
	}
	for _, tt := range []struct {
		name   string
		tasks  func(at time.Duration, look int) []agent.BlockedTask
		proven bool
	}{
		{"they stand still", both, true},
		{"one of them runs", func(at time.Duration, look int) []agent.BlockedTask {
			tasks := both(at, look)
			tasks[1].Switches = uint64(look)
			return tasks
		}, false},
		{"one of them goes on after it was asked", func(at time.Duration, look int) []agent.BlockedTask {
			if tasks := both(at, look); at < 6*time.Second || at > 40*time.Second {
				return tasks
			}
			return both(at, look)[:1]
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var found []splat.Finding
			b := &blockage{tasks: tt.tasks, says: console(t, "abba")}
			r := play{duration: 30 * time.Second, character: b.character, until: func(f splat.Finding) bool {
				found = append(found, f)
				return true
			}}.perform(t)
			events := r.steps(history.Stuck, 1)
			proven := len(events) > 0 && events[0].Stuck.To > 0
			if proven != tt.proven {
				t.Fatalf("%+v, found %+v", events, found)
			}
			if !proven {
				return
			}
			s := events[0].Stuck
			if diff := s.To - s.From; diff < int64(len(b.says)) || !slices.Equal(s.PIDs, []int{98, 99}) || events[0].At > 25*time.Second {
				t.Errorf("%+v, %d bytes at %s", s, diff, events[0].At)
			}
			if len(found) != 1 || found[0].Waits == nil || len(found[0].Waits.Cycle) != 2 || !b.wasAsked("hung_task_timeout_secs=10") {
				t.Errorf("%+v, wrote %q", found, b.wrote)
			}
		})
	}
}

// TestDeadlockWhileStopping: one that begins as the storm ends is found before
// the workload in it is killed, which undoes it.
func TestDeadlockWhileStopping(t *testing.T) {
	var killed atomic.Bool
	b := &blockage{says: console(t, "abba"), tasks: func(at time.Duration, _ int) []agent.BlockedTask {
		if at < 9*time.Second || killed.Load() {
			return nil
		}
		return []agent.BlockedTask{{PID: 98, Name: "deadlock/first", Switches: 5}, {PID: 99, Name: "deadlock/second", Switches: 5}}
	}}
	r := play{duration: 10 * time.Second, character: func(n int) vmtest.Character {
		c := b.character(n)
		c.Methods[agent.MethodStopWorkload] = func(*vmtest.Guest, json.RawMessage) (any, error) {
			time.Sleep(15 * time.Second)
			killed.Store(true)
			return agent.WorkloadStats{}, nil
		}
		return c
	}}.perform(t)
	if text := stuckText(r); text != "they wait for each other: deadlock/first/98, deadlock/second/99" {
		t.Errorf("it says %q", text)
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
