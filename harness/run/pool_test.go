// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plugstorm/guests"
	"plugstorm/harness/history"
	"plugstorm/harness/pool"
	"plugstorm/harness/run"
	"plugstorm/harness/splat"
	"plugstorm/harness/vm/vmtest"
)

// performTogether performs plays at once in one pool, in one bubble. A play's
// during is called with what interrupts all of them.
func performTogether(t *testing.T, most int, plays ...play) []*record {
	t.Helper()
	all := make([]*record, len(plays))
	for i := range all {
		all[i] = &record{dir: filepath.Join(t.TempDir(), "run")}
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		shared := pool.New(most, pool.Host{Cores: 8, Available: func() int64 { return 1 << 50 }})
		done := make(chan int)
		for i, p := range plays {
			r := all[i]
			if p.during != nil {
				p.during(cancel)
			}
			go func() {
				c := p.config(r)
				c.Pool = shared
				began := time.Now()
				r.err = run.Run(ctx, c)
				r.took = time.Since(began)
				done <- i
			}()
			synctest.Wait() // they begin in order
		}
		for range plays {
			<-done
		}
	})
	for _, r := range all {
		var err error
		if r.History, err = history.Read(r.dir); err != nil {
			t.Fatal(err)
		}
		r.check(t)
	}
	return all
}

// TestADeathInOneSlot: a QEMU that dies is a fault of its slot, which goes on
// with a fresh guest. The other slot's record is what it is without it.
func TestADeathInOneSlot(t *testing.T) {
	healthy := play{seed: 3}
	dying := play{seed: 4, scene: func(n int, g *vmtest.Guest) {
		if n == 1 {
			time.AfterFunc(20*time.Second, func() { g.Die("signal: killed", "") })
		}
	}}
	alone := healthy.perform(t)
	both := performTogether(t, 2, dying, healthy)
	both[0].expect(t, lines(runStart, up(1), "1 fault hypervisor guest 1: lost: QEMU died: signal: killed", "1 guest-end  lost: QEMU died",
		up(2), timeUp(2), runEnd)...)
	both[1].expect(t, lines(runStart, up(1), timeUp(1), runEnd)...)
	for i, r := range both {
		if r.err != nil {
			t.Errorf("slot %d: %v", i+1, r.err)
		}
	}
	if diff := cmp.Diff(deeds(t, alone), deeds(t, both[1])); diff != "" {
		t.Errorf("the other slot noticed:\n%s", diff)
	}
}

// deeds are a record's steps and ends, with their times.
func deeds(t *testing.T, r *record) []string {
	t.Helper()
	var all []string
	for _, e := range r.Events {
		if e.Type == history.StepBegin || e.Type == history.StepEnd || e.Type == history.GuestEnd {
			all = append(all, asJSON(t, e))
		}
	}
	return all
}

// TestWaitsForASeat: who has to wait has all of its time afterwards, and who has
// begun keeps its seat from one guest to the next.
func TestWaitsForASeat(t *testing.T) {
	report := console(t, "oops")
	first := play{seed: 3, scene: func(n int, g *vmtest.Guest) {
		if n == 1 {
			time.AfterFunc(20*time.Second, func() { g.Print(report) })
		}
	}}
	both := performTogether(t, 1, first, play{seed: 4})
	both[0].expect(t, lines(runStart, up(1), "1 complaint", "1 blind", "1 guest-end  retired", up(2), timeUp(2), runEnd)...)
	both[1].expect(t, lines(runStart, "1 wait  1 guests ran already", up(1), timeUp(1), runEnd)...)
	waited := both[1].steps(history.Wait, 1)[0].Waited
	if waited < time.Minute || waited > 70*time.Second {
		t.Errorf("it waited for %s", waited)
	}
	if stormed := both[1].took - waited; stormed < time.Minute {
		t.Errorf("it had %s then", stormed)
	}
}

// TestFoundForAll: the finding that ends a run ends those of the same machine as
// if their time were up, those that wait as well, and no others.
func TestFoundForAll(t *testing.T) {
	report := console(t, "hung_task")
	until := func(f splat.Finding) bool { return f.Type == splat.TypeHang }
	finder := play{seed: 3, until: until, scene: func(_ int, g *vmtest.Guest) {
		time.AfterFunc(20*time.Second, func() { g.Print(report) })
	}}
	all := performTogether(t, 3, finder, play{seed: 4, until: until}, play{machine: guests.PSeries, until: until}, play{seed: 5, until: until})
	all[0].expect(t, lines(runStart, up(1), "1 complaint", "1 guest-end  retired: stuck", runEnd)...)
	all[1].expect(t, lines(runStart, up(1), timeUp(1), runEnd)...)
	if all[1].took > 40*time.Second {
		t.Errorf("it went on for %s", all[1].took)
	}
	all[2].expect(t, lines(runStart, up(1), timeUp(1), runEnd)...)
	if all[2].took < time.Minute {
		t.Errorf("the other machine ended after %s", all[2].took)
	}
	all[3].expect(t, runStart, runEnd) // it had no seat yet
}

// TestInterruptedInTheQueue: who waits when the user has had enough is recorded
// as interrupted.
func TestInterruptedInTheQueue(t *testing.T) {
	enough := errors.New("enough")
	both := performTogether(t, 1, play{seed: 3}, play{seed: 4, during: func(cancel context.CancelCauseFunc) {
		time.AfterFunc(20*time.Second, func() { cancel(enough) })
	}})
	both[1].expect(t, runStart, "0 fault user interrupted after 20s")
	for i, r := range both {
		if !errors.Is(r.err, enough) {
			t.Errorf("slot %d: %v", i+1, r.err)
		}
		if log := r.outline(); strings.Contains(strings.Join(log, "\n"), "run-end") {
			t.Errorf("slot %d came to its planned end:\n%s", i+1, strings.Join(log, "\n"))
		}
	}
}

// TestFirstNeverUp: a guest that never comes up keeps the others waiting until
// that is known, and no longer.
func TestFirstNeverUp(t *testing.T) {
	dead := play{seed: 3, refuse: func(int) error { return errors.New("no such device") }}
	both := performTogether(t, 2, dead, play{seed: 4})
	if last := both[0].outline()[len(both[0].outline())-1]; !strings.Contains(last, "giving up") {
		t.Errorf("the first slot ends with %q", last)
	}
	got := both[1].outline()
	if got[len(got)-1] != runEnd || both[1].took > 65*time.Second {
		t.Errorf("after %s: %s", both[1].took, strings.Join(got, "\n"))
	}
}
