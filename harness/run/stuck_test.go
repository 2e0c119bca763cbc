// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/history"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm/vmtest"
)

// stuck is a guest that tells of blocked tasks what who says.
func stuck(who func() []agent.BlockedTask) func(int) vmtest.Character {
	return func(int) vmtest.Character {
		return vmtest.Character{Methods: map[string]vmtest.Handler{
			agent.MethodBlocked: func(*vmtest.Guest, json.RawMessage) (any, error) { return agent.BlockedReply{Tasks: who()}, nil },
		}}
	}
}

// TestStuckGuestIsKept: a hang that began late in a turn is seen, which is
// shorter than the kernel's own patience.
func TestStuckGuestIsKept(t *testing.T) {
	r := play{
		duration:  2 * time.Minute,
		scenario:  schedule.InTurn("turns", "", time.Hour, 15*time.Second, calm()),
		character: stuck(func() []agent.BlockedTask { return []agent.BlockedTask{{TID: 9, Comm: "kworker/0:1", Switches: 7}} }),
		scene: func(n int, g *vmtest.Guest) {
			if n == 1 {
				time.AfterFunc(50*time.Second, func() { g.Print(console(t, "hung_task")) })
			}
		},
	}.perform(t)
	kept := r.steps(history.Stuck, 1)
	if len(kept) != 1 || kept[0].Text != "kworker/0:1" {
		t.Errorf("stuck: %+v", kept)
	}
	if len(r.steps(history.Complaint, 1)) != 1 {
		t.Error("the kernel's complaint is not in the history")
	}
	for _, e := range r.steps(history.StepBegin, 1) {
		if len(kept) == 1 && e.At > kept[0].At {
			t.Errorf("a step begins at %s, after the guest's time at %s", e.At, kept[0].At)
		}
	}
}

// TestStuckGuestIsNotKeptForEver: the kernel has its time to speak, and no more.
func TestStuckGuestIsNotKeptForEver(t *testing.T) {
	r := play{character: stuck(func() []agent.BlockedTask { return []agent.BlockedTask{{TID: 9, Switches: 7}} })}.perform(t)
	if r.took < time.Minute+40*time.Second || r.took > 2*time.Minute {
		t.Errorf("it took %s", r.took)
	}
}

// TestBusyGuestIsNotKept: tasks that wait, but are scheduled now and then, are
// not stuck.
func TestBusyGuestIsNotKept(t *testing.T) {
	var switches atomic.Uint64
	r := play{character: stuck(func() []agent.BlockedTask { return []agent.BlockedTask{{TID: 9, Switches: switches.Add(1)}} })}.perform(t)
	if r.took > 65*time.Second || len(r.steps(history.Stuck, 1)) != 0 {
		t.Errorf("it took %s, with %d that were stuck", r.took, len(r.steps(history.Stuck, 1)))
	}
}
