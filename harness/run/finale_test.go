// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/agent"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm/vmtest"
	"plugstorm/workloads"
)

// endsFailing is calm, and its guests' turn ends with n failing ops.
func endsFailing(n int) *schedule.Scenario {
	s := calm()
	s.Finale = &schedule.Finale{
		Steps: n, Mix: []schedule.Weight{{Kind: op.CPUFailing, Weight: 1}, {Kind: op.BlockFailNth, Weight: 1}},
		Users: []op.WorkloadStart{{ID: "user", Name: workloads.Aftermath.Name}},
	}
	return s
}

// finaleOf is what a guest's finale did, in order.
func (r *record) finaleOf(guest int) []schedule.Step {
	var steps []schedule.Step
	for _, e := range r.steps(history.StepBegin, guest) {
		if e.Step.OfFinale() {
			steps = append(steps, *e.Step)
		}
	}
	return steps
}

// requests are those for some methods, in the order in which a guest got them.
type requests struct {
	mu   sync.Mutex
	said []string
}

// character is a guest that remembers them.
func (o *requests) character(int) vmtest.Character {
	note := func(method string, answer any) vmtest.Handler {
		return func(_ *vmtest.Guest, params json.RawMessage) (any, error) {
			var p struct {
				ID       any
				FailNth  int `json:"fail_nth"`
				FailStep int `json:"fail_step"`
			}
			err := json.Unmarshal(params, &p)
			what := method
			if id, ok := p.ID.(string); ok {
				what += " " + id
			}
			if p.FailNth+p.FailStep > 0 {
				what += " failing"
			}
			o.mu.Lock()
			defer o.mu.Unlock()
			o.said = append(o.said, what)
			return answer, err
		}
	}
	return vmtest.Character{Methods: map[string]vmtest.Handler{
		agent.MethodStartWorkload: note("start", nil),
		agent.MethodStopWorkload:  note("stop", agent.WorkloadStats{}),
		agent.MethodSetCPU:        note("cpu", nil),
		agent.MethodSetBlock:      note("block", nil),
	}}
}

// TestFinale: when the storm is over and its workloads are stopped, ops fail
// beside the finale's users and are left at that; it is recorded and replayed.
func TestFinale(t *testing.T) {
	s := endsFailing(2)
	s.Lanes = s.Lanes[:1] // no CPU of the lanes' beside it
	s.Lanes[0].CPUs = 1
	var o requests
	r := play{seed: 3, duration: 10 * time.Second, scenario: s, character: o.character}.perform(t)
	if r.err != nil {
		t.Fatal(r.err)
	}
	did := r.finaleOf(1)
	if len(did) != 2 || did[0].Finale != 1 {
		t.Fatalf("it did %s", asJSON(t, did))
	}
	ends := o.said[len(o.said)-5:]
	if diff := cmp.Diff([]string{"stop all", "start user"}, ends[:2]); diff != "" || ends[4] != "stop user" {
		t.Errorf("it ends with %q", ends)
	}
	for _, what := range ends[2:4] {
		if what != "cpu failing" && what != "block failing" {
			t.Errorf("it ends with %q: nothing may succeed after a failure", ends)
		}
	}
	checkFiles(t, r)
	again := play{seed: 3, duration: 10 * time.Second, scenario: s, replay: r.Steps()}.perform(t)
	if diff := cmp.Diff(asJSON(t, did), asJSON(t, again.finaleOf(1))); again.err != nil || diff != "" {
		t.Errorf("the replay: %v\n%s", again.err, diff)
	}
}

// TestFinaleStops: it doesn't go on, and maybe heal, where a task stands still,
// and what is stuck is found.
func TestFinaleStops(t *testing.T) {
	b := &blockage{tasks: func(at time.Duration, _ int) []agent.BlockedTask {
		if at < 8500*time.Millisecond { // since the storm's first look, 2 s after its begin
			return nil
		}
		return []agent.BlockedTask{{PID: 7, Name: "exe", Switches: 3}}
	}}
	// The first step takes its time: the task is blocked when the second is due.
	slow := func(n int) vmtest.Character {
		c := b.character(n)
		c.Methods[agent.MethodSetCPU] = func(*vmtest.Guest, json.RawMessage) (any, error) {
			time.Sleep(time.Second)
			return nil, nil
		}
		return c
	}
	s := only(schedule.Lane{CPUs: 1, Gap: time.Minute}, op.CPUOffline)
	s.Finale = endsFailing(0).Finale
	s.Finale.Steps, s.Finale.Mix = 2, []schedule.Weight{{Kind: op.CPUFailing, Weight: 1}, {Kind: op.CPUCallFailing, Weight: 1}}
	r := play{duration: 10 * time.Second, scenario: s, character: slow}.perform(t)
	if did := r.finaleOf(1); len(did) != 1 {
		t.Errorf("it did %s", asJSON(t, did))
	}
	if got, want := stuckText(r), "blocked although the storm is over: exe/7"; got != want {
		t.Errorf("found %q", got)
	}
}

// TestNoFinale: a guest that is stuck already, or has died, has none.
func TestNoFinale(t *testing.T) {
	b := &blockage{tasks: func(time.Duration, int) []agent.BlockedTask {
		return []agent.BlockedTask{{PID: 7, Name: "exe", Switches: 3}}
	}}
	stuck := play{duration: 10 * time.Second, scenario: endsFailing(2), character: b.character}.perform(t)
	dead := play{duration: 10 * time.Second, scenario: endsFailing(2), scene: func(n int, g *vmtest.Guest) {
		if n == 1 {
			time.AfterFunc(5*time.Second, func() { g.Print(console(t, "oops")) })
		}
	}}.perform(t)
	if did := append(stuck.finaleOf(1), dead.finaleOf(1)...); len(did) != 0 {
		t.Errorf("did %s", asJSON(t, did))
	}
}
