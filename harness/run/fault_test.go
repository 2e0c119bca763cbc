// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/qmp"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
	"plugstorm/harness/vm/vmtest"
)

const assertion = "tcg_register_thread: assertion failed"

func abort(g *vmtest.Guest) { g.Die("signal: aborted", assertion) }

// aborted is the outline of a guest whose QEMU dies in the storm.
func aborted(n int) []string {
	return lines(up(n),
		fmt.Sprintf("%d fault hypervisor guest %d: lost: QEMU died: signal: aborted: %s", n, n, assertion),
		fmt.Sprintf("%d guest-end  lost: QEMU died: signal: aborted: %s; QEMU: signal: aborted: %s", n, assertion, assertion))
}

func TestQEMUDies(t *testing.T) {
	dies := func(which ...int) func(int, *vmtest.Guest) {
		return func(n int, g *vmtest.Guest) {
			if slices.Contains(which, n) {
				time.AfterFunc(5*time.Second, func() { abort(g) })
			}
		}
	}
	for _, reap := range []time.Duration{0, 3 * time.Second} {
		t.Run(fmt.Sprint("its process ends after ", reap), func(t *testing.T) {
			character := func(int) vmtest.Character { return vmtest.Character{Reap: reap} }
			t.Run("once", func(t *testing.T) {
				r := play{scene: dies(1), character: character}.perform(t)
				r.expect(t, lines(runStart, aborted(1), up(2), timeUp(2), runEnd)...)
				if r.err != nil {
					t.Error(r.err)
				}
				checkContinuity(t, r)
			})
			t.Run("again and again", func(t *testing.T) {
				r := play{scene: dies(1, 2, 3, 4), character: character}.perform(t)
				r.expect(t, lines(runStart, aborted(1), aborted(2), aborted(3), "3 fault hypervisor giving up: lost 3 guests in a row")...)
				if r.err != nil {
					t.Error(r.err)
				}
			})
		})
	}
	t.Run("not in a row", func(t *testing.T) {
		report := console(t, "oops")
		r := play{scene: func(n int, g *vmtest.Guest) {
			dies(1, 2, 4, 5)(n, g)
			if n == 3 {
				time.AfterFunc(5*time.Second, func() { g.Print(report) })
			}
		}}.perform(t)
		if log := r.outline(); log[len(log)-1] != runEnd || len(r.guests) != 6 {
			t.Errorf("after %d guests:\n%s", len(r.guests), strings.Join(log, "\n"))
		}
	})
	t.Run("of a step", func(t *testing.T) {
		r := play{character: func(n int) vmtest.Character {
			if n > 1 {
				return vmtest.Character{}
			}
			// Its process outlives its monitor, so the step meets the death
			// before the guest's end cuts the step off.
			return vmtest.Character{Reap: time.Second, Plug: func(g *vmtest.Guest, _ string) { abort(g) }}
		}}.perform(t)
		r.expect(t, lines(runStart, aborted(1), up(2), timeUp(2), runEnd)...)
		ends := r.steps(history.StepEnd, 1)
		if broken := ends[len(ends)-1]; broken.Outcome != op.Broken {
			t.Errorf("the step that killed it is %q: %s", broken.Outcome, broken.Text)
		}
	})
}

// TestBootFails: whose fault it is that a guest never comes up.
// TestQEMUDiesAtTheEnd: the storm is over, and yet such a run isn't clean.
func TestQEMUDiesAtTheEnd(t *testing.T) {
	r := play{character: func(int) vmtest.Character {
		return vmtest.Character{Methods: map[string]vmtest.Handler{"stop-workload": func(g *vmtest.Guest, _ json.RawMessage) (any, error) {
			abort(g)
			return nil, vmtest.ErrNoAnswer
		}}}
	}}.perform(t)
	r.expect(t, lines(runStart, up(1), "1 fault hypervisor guest 1: lost: QEMU died at the end: signal: aborted", "1 guest-end  the run's time is up; QEMU: signal: aborted", runEnd)...)
}

func TestBootFails(t *testing.T) {
	gaveUp := func(party string) string { return "3 fault " + party + " giving up: lost 3 guests in a row" }
	thrice := func(outline func(n int) []string) []string { return lines(outline(1), outline(2), outline(3)) }

	t.Run("no agent", func(t *testing.T) {
		r := play{character: func(int) vmtest.Character { return vmtest.Character{NoAgent: true} }}.perform(t)
		r.expect(t, lines(runStart, thrice(func(n int) []string {
			return []string{
				fmt.Sprintf("%d guest-start", n),
				fmt.Sprintf("%d fault harness guest %d: lost: the kernel did not bring up our agent within 2m0s", n, n),
				fmt.Sprintf("%d guest-end  lost: the kernel did not bring up our agent", n),
			}
		}), gaveUp("harness"))...)
	})
	for _, reap := range []time.Duration{0, time.Millisecond, 3 * time.Second} {
		t.Run(fmt.Sprint("QEMU dies, and its process ends after ", reap), func(t *testing.T) {
			r := play{
				character: func(int) vmtest.Character { return vmtest.Character{NoAgent: true, Reap: reap} },
				scene:     func(_ int, g *vmtest.Guest) { time.AfterFunc(time.Second, func() { abort(g) }) },
			}.perform(t)
			r.expect(t, lines(runStart, thrice(func(n int) []string {
				dies := aborted(n)
				return lines(dies[:1], dies[2:])
			}), gaveUp("hypervisor"))...)
		})
	}
	t.Run("the kernel panics", func(t *testing.T) {
		report := console(t, "oops")
		r := play{
			character: func(int) vmtest.Character { return vmtest.Character{NoAgent: true} },
			scene:     func(_ int, g *vmtest.Guest) { time.AfterFunc(time.Second, func() { g.Print(report) }) },
		}.perform(t)
		r.expect(t, lines(runStart, thrice(func(n int) []string {
			title := "BUG: unable to handle kernel paging request in PageHuge"
			return []string{
				fmt.Sprintf("%d guest-start", n), fmt.Sprintf("%d complaint  %s", n, title), fmt.Sprintf("%d blind  %s", n, title),
				fmt.Sprintf("%d guest-end  retired: fatal: %s", n, title),
			}
		}), gaveUp("kernel"))...)
	})
	t.Run("the agent's channel ends", func(t *testing.T) {
		r := play{
			character: func(int) vmtest.Character { return vmtest.Character{NoAgent: true} },
			scene:     func(_ int, g *vmtest.Guest) { time.AfterFunc(time.Second, g.HangUpAgent) },
		}.perform(t)
		r.expect(t, lines(runStart, thrice(func(n int) []string {
			return []string{
				fmt.Sprintf("%d guest-start", n), fmt.Sprintf("%d fault hypervisor guest %d: lost: ", n, n), fmt.Sprintf("%d guest-end  lost: ", n),
			}
		}), gaveUp("hypervisor"))...)
	})
	t.Run("QEMU can't be started", func(t *testing.T) {
		r := play{refuse: func(int) error { return blame.Errorf(blame.Host, "buy some", "no memory") }}.perform(t)
		r.expect(t, lines(runStart, thrice(func(n int) []string {
			return []string{fmt.Sprintf("%d guest-start", n), fmt.Sprintf("%d fault host guest %d: no memory", n, n), fmt.Sprintf("%d guest-end  no memory", n)}
		}), gaveUp("host"))...)
		if next := r.steps(history.Fault, 1)[0].Next; next != "buy some" {
			t.Errorf("the next step is %q", next)
		}
	})
	t.Run("once", func(t *testing.T) {
		r := play{refuse: func(n int) error {
			if n == 1 {
				return errors.New("bad luck")
			}
			return nil
		}}.perform(t)
		r.expect(t, lines(runStart, "1 guest-start", "1 fault harness guest 1: bad luck", "1 guest-end  bad luck", up(2), timeUp(2), runEnd)...)
	})
}

// TestDeadTimer: a guest one of whose CPUs never wakes up isn't hammered. One is bad
// luck, and three in a row are somebody's fault.
func TestDeadTimer(t *testing.T) {
	dead := func(guests int) play {
		return play{character: func(n int) vmtest.Character {
			if n > guests {
				return vmtest.Character{}
			}
			return vmtest.Character{Methods: map[string]vmtest.Handler{"timers": func(*vmtest.Guest, json.RawMessage) (any, error) {
				return agent.TimersReply{Dead: []int{1}}, nil
			}}}
		}}
	}
	end := func(n int) []string {
		return append(up(n), fmt.Sprintf("%d guest-end  lost: the timer is dead of CPUs [1]", n))
	}
	t.Run("once", func(t *testing.T) {
		dead(1).perform(t).expect(t, lines(runStart, end(1), up(2), timeUp(2), runEnd)...)
	})
	t.Run("always", func(t *testing.T) {
		dead(9).perform(t).expect(t, lines(runStart, end(1), end(2), end(3), "3 fault hypervisor giving up: lost 3 guests in a row")...)
	})
}

// TestSilence: a guest without a sign of life is the kernel's finding, unless
// QEMU doesn't answer either.
func TestSilence(t *testing.T) {
	mute := func(n int, g *vmtest.Guest) {
		if n == 1 {
			time.AfterFunc(5*time.Second, g.Mute)
		}
	}
	const told = "no heartbeat, neither on the console nor from the agent, for "
	t.Run("of the guest", func(t *testing.T) {
		r := play{scene: mute, duration: 5 * time.Minute}.perform(t)
		r.expect(t, lines(runStart, up(1), "1 silent  "+told, "1 guest-end  retired: silent: "+told, up(2), timeUp(2), runEnd)...)
		if silent := r.steps(history.Silent, 1)[0]; silent.At < 35*time.Second || silent.At > 40*time.Second || !strings.HasSuffix(silent.Text, "QEMU says the guest is running") {
			t.Errorf("at %s: %s", silent.At, silent.Text)
		}
		if state, err := os.ReadFile(filepath.Join(r.specs[0].Dir, "qemu.state")); !strings.Contains(string(state), "==== info registers -a\n") {
			t.Errorf("QEMU's view of the guest isn't kept: %q, %v", state, err)
		}
	})
	t.Run("of a slow guest", func(t *testing.T) {
		r := play{scene: mute, duration: 5 * time.Minute, character: func(int) vmtest.Character {
			return vmtest.Character{Boot: 18 * time.Second}
		}}.perform(t)
		if silent := r.steps(history.Silent, 1); len(silent) != 1 || silent[0].At < 18*time.Second+3*30*time.Second {
			t.Errorf("a guest three times slower was silent at %+v", silent)
		}
	})
	t.Run("of QEMU", func(t *testing.T) {
		r := play{duration: 5 * time.Minute, scene: func(n int, g *vmtest.Guest) {
			mute(n, g)
			if n == 1 {
				time.AfterFunc(5*time.Second, func() {
					silent := func(*vmtest.Guest, json.RawMessage) (any, error) { return nil, vmtest.ErrNoAnswer }
					g.Become(vmtest.Character{Commands: map[string]vmtest.Handler{
						"query-status": silent, "object-add": silent, "device_del": silent, "query-memory-devices": silent,
					}})
				})
			}
		}}.perform(t)
		r.expect(t, lines(runStart, up(1), "1 fault hypervisor guest 1: lost: QEMU does not answer its monitor for 20s",
			"1 guest-end  lost: QEMU does not answer its monitor", up(2), timeUp(2), runEnd)...)
	})
	t.Run("of the agent alone", func(t *testing.T) {
		r := play{duration: 5 * time.Minute, scene: func(n int, g *vmtest.Guest) {
			if n == 1 {
				time.AfterFunc(5*time.Second, func() {
					deaf := func(*vmtest.Guest, json.RawMessage) (any, error) { return nil, vmtest.ErrNoAnswer }
					g.Become(vmtest.Character{Methods: map[string]vmtest.Handler{"ping": deaf, "memory": deaf, "set-block": deaf, "set-cpu": deaf}})
				})
			}
		}}.perform(t)
		const text = "lost: the guest's agent does not answer, although the guest shows life"
		r.expect(t, lines(runStart, up(1), "1 fault harness guest 1: "+text, "1 guest-end  "+text, up(2), timeUp(2), runEnd)...)
		for _, e := range r.steps(history.StepEnd, 1) {
			if e.Outcome == op.Hung {
				t.Errorf("step %d counts as hung: %s", e.Seq, e.Text)
			}
		}
	})
}

// TestHungStep: a step that hangs while the guest lives ends the guest.
func TestHungStep(t *testing.T) {
	r := play{
		duration: 10 * time.Minute,
		character: func(n int) vmtest.Character {
			if n == 1 {
				return vmtest.Character{Plug: ignore}
			}
			return vmtest.Character{}
		},
	}.perform(t)
	r.expect(t, lines(runStart, up(1), "1 guest-end  retired: dimm-add hung for 2m0s", up(2), timeUp(2), runEnd)...)
	hung := 0
	for _, e := range r.steps(history.StepEnd, 1) {
		if e.Outcome == op.Hung {
			hung++
		}
	}
	if hung != 1 {
		t.Errorf("%d steps are hung, want one", hung)
	}
}

// TestBrokenStep: what broke for no known reason is a fault, and the guest
// goes on.
func TestBrokenStep(t *testing.T) {
	r := play{character: func(int) vmtest.Character {
		return vmtest.Character{Methods: map[string]vmtest.Handler{"start-workload": func(*vmtest.Guest, json.RawMessage) (any, error) {
			return nil, errors.New("no module")
		}}}
	}}.perform(t)
	r.expect(t, lines(runStart, up(1), "1 fault harness guest 1: workload-start: no module", "1 guest-end  the run's time is up", runEnd)...)
	ends := r.steps(history.StepEnd, 1)
	if len(ends) < 20 || ends[0].Outcome != op.Broken || ends[1].Outcome != op.Done {
		t.Errorf("%d steps, the first two %q and %q", len(ends), ends[0].Outcome, ends[1].Outcome)
	}
}

// TestSpentBudget: a guest that QEMU can't take further is replaced, which is
// nobody's fault.
func TestSpentBudget(t *testing.T) {
	r := play{
		accel:    vm.TCG,
		scenario: only(schedule.Lane{VCPUs: 2, Gap: time.Second}, op.VCPUAdd, op.VCPURemove),
		duration: 5 * time.Minute,
	}.perform(t)
	if len(r.guests) < 3 || len(r.steps(history.Fault, 0)) != 0 {
		t.Errorf("%d guests:\n%s", len(r.guests), strings.Join(r.outline(), "\n"))
	}
	for i, g := range r.guests {
		adds := 0
		for _, call := range g.Log() {
			if call == "device_add" {
				adds++
			}
		}
		if limit := g.VM.Budget().VCPUAdds; adds > limit {
			t.Errorf("guest %d was asked for %d vCPUs, the limit is %d", i+1, adds, limit)
		}
	}
}

// TestGuestEndsByItself: a reboot is the guest's doing, and no fault.
func TestGuestEndsByItself(t *testing.T) {
	for _, reason := range []string{"guest-reset", "guest-shutdown", "guest-panic"} {
		t.Run(reason, func(t *testing.T) {
			r := play{scene: func(n int, g *vmtest.Guest) {
				if n == 1 {
					time.AfterFunc(5*time.Second, func() {
						g.Emit(qmp.EventShutdown, qmp.Shutdown{Guest: true, Reason: reason}) // and QEMU waits to be ended
					})
				}
			}}.perform(t)
			r.expect(t, lines(runStart, up(1), "1 guest-end  retired: the guest ended by itself ("+reason+"); QEMU: exit status 0; where its CPUs were: guest-1/qemu.state", up(2), timeUp(2), runEnd)...)
			if state, err := os.ReadFile(filepath.Join(r.specs[0].Dir, "qemu.state")); !strings.Contains(string(state), "==== info registers -a\n") {
				t.Errorf("qemu.state has no registers: %q, %v", state, err)
			}
			if got := r.steps(history.GuestEnd, 1)[0].Shutdown; got != reason {
				t.Errorf("the end's reason is %q", got)
			}
		})
	}
	t.Run("somebody else ends QEMU", func(t *testing.T) {
		r := play{scene: func(n int, g *vmtest.Guest) {
			if n == 1 {
				time.AfterFunc(5*time.Second, func() {
					g.Emit(qmp.EventShutdown, qmp.Shutdown{Reason: "host-signal"})
					g.Die("exit status 0", "qemu: terminating on signal 15")
				})
			}
		}}.perform(t)
		r.expect(t, lines(runStart, up(1), "1 fault hypervisor guest 1: lost: QEMU died: exit status 0: qemu: terminating on signal 15",
			"1 guest-end  lost: ", up(2), timeUp(2), runEnd)...)
	})
}

// TestLostChannels: QEMU lives on, and we can't speak to it or to the guest.
func TestLostChannels(t *testing.T) {
	for name, tt := range map[string]struct {
		lose  func(*vmtest.Guest)
		fault string
	}{
		"monitor":   {(*vmtest.Guest).HangUp, "1 fault hypervisor guest 1: lost: QEMU closed its monitor"},
		"agent":     {(*vmtest.Guest).HangUpAgent, "1 fault hypervisor guest 1: lost: the channel to the guest's agent ended"},
		"recording": {func(g *vmtest.Guest) { g.FailConsole(blame.Errorf(blame.Host, "", "console.log: input/output error")) }, "1 fault host guest 1: lost: console.log: input/output error"},
	} {
		t.Run(name, func(t *testing.T) {
			r := play{
				duration: 3 * time.Minute,
				scene: func(n int, g *vmtest.Guest) {
					if n == 1 {
						time.AfterFunc(5*time.Second, func() { tt.lose(g) })
					}
				},
			}.perform(t)
			r.expect(t, lines(runStart, up(1), tt.fault, "1 guest-end  lost: ", up(2), timeUp(2), runEnd)...)
			if end := r.steps(history.GuestEnd, 1)[0]; end.At > time.Minute {
				t.Errorf("the guest ended at %s only", end.At)
			}
		})
	}
}
