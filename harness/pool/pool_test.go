// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

const gib = int64(1) << 30

// roomy is a host that has everything.
func roomy() Host { return Host{Cores: 64, Available: func() int64 { return 1 << 50 }} }

func enter(t *testing.T, p *Pool, g Guest) *Seat {
	t.Helper()
	s, err := p.Enter(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// entering is an Enter that may have to wait.
type entering struct {
	seat *Seat
	err  error
	done bool
}

func (p *Pool) enterLater(ctx context.Context, g Guest) *entering {
	e := &entering{}
	go func() {
		e.seat, e.err = p.Enter(ctx, g)
		e.done = true
	}()
	return e
}

// expect insists that somebody waits, or doesn't any more and had to for a
// reason.
func (e *entering) expect(t *testing.T, done bool, why string) {
	t.Helper()
	synctest.Wait()
	if e.done != done {
		t.Fatalf("entered: %v, want %v", e.done, done)
	}
	if done {
		if _, got := e.seat.Waited(); !strings.Contains(got, why) || (got == "") != (why == "") {
			t.Errorf("it had to wait because %q, want %q", got, why)
		}
	}
}

func TestFirstOfAKindComesUpAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(4, roomy())
		x := Guest{Kind: "x86_64"}
		first := enter(t, p, x)
		second, third := p.enterLater(t.Context(), x), p.enterLater(t.Context(), x)
		other := p.enterLater(t.Context(), Guest{Kind: "pseries"})
		other.expect(t, true, "")
		second.expect(t, false, "")
		time.Sleep(7 * time.Second)
		first.Up()
		second.expect(t, true, "first guest of its kind")
		third.expect(t, true, "first guest of its kind")
		if waited, _ := second.seat.Waited(); waited != 7*time.Second {
			t.Errorf("waited for %s", waited)
		}
		if waited, _ := first.Waited(); waited != 0 {
			t.Errorf("the first waited for %s", waited)
		}
		fifth := p.enterLater(t.Context(), x)
		fifth.expect(t, false, "")
		third.seat.Leave()
		third.seat.Leave()
		fifth.expect(t, true, "4 guests ran already")
		if len(p.seats) != 4 {
			t.Errorf("%d seats are taken", len(p.seats))
		}
	})
}

// TestFirstThatFails: a first guest that never comes up keeps nobody waiting.
func TestFirstThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(2, roomy())
		first := enter(t, p, Guest{})
		second := p.enterLater(t.Context(), Guest{})
		second.expect(t, false, "")
		first.Leave()
		second.expect(t, true, "first guest of its kind")
	})
}

func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := 3*gib + spare
		p := New(8, Host{Cores: 8, Available: func() int64 { return left }})
		g := Guest{Need: gib}
		first := enter(t, p, g)
		first.Up()
		second := enter(t, p, g) // the first one has taken nothing yet
		third := enter(t, p, g)
		fourth := p.enterLater(t.Context(), g)
		fourth.expect(t, false, "")

		left -= gib // the first one has taken all of its own: nothing is different
		first.Fares(0, gib)
		fourth.expect(t, false, "")
		second.Fares(0, gib/2) // the host has more than it seemed
		third.Fares(0, gib/2)
		fourth.expect(t, true, "no 1024 MiB of memory left")

		fifth := p.enterLater(t.Context(), g)
		left = 0 // unknown
		first.Leave()
		fifth.expect(t, false, "")
		second.Leave()
		third.Leave()
		fifth.expect(t, false, "")
		fourth.seat.Leave() // nobody is left to wait for
		fifth.expect(t, true, "doesn't say how much memory")
	})
}

// TestStarvingHost: a guest for which the host has no CPU of its own starts when
// those that run are known not to starve.
func TestStarvingHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := roomy()
		host.Cores = 2
		p := New(4, host)
		first := enter(t, p, Guest{})
		first.Up()
		time.Sleep(5 * time.Second)
		first.Fares(0.9, 0) // it isn't our second one that the host has too much with
		second := enter(t, p, Guest{})

		third := p.enterLater(t.Context(), Guest{})
		time.Sleep(time.Hour)
		third.expect(t, false, "")
		first.Fares(0.6, 0)
		third.expect(t, false, "") // of the second one nothing is known
		second.Fares(-1, 0)
		third.expect(t, false, "") // nor now
		second.Fares(0.5, 0)
		third.expect(t, false, "")
		first.Fares(0.4, 0)
		third.expect(t, true, "55 % of the time")

		fourth := p.enterLater(t.Context(), Guest{})
		first.Fares(0, 0)
		second.Fares(0, 0)
		time.Sleep(time.Hour)
		fourth.expect(t, false, "") // how the third one fares isn't known
		second.Leave()
		third.seat.Leave()
		fourth.expect(t, true, "not known yet")
	})
}

func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(1, roomy())
		first := enter(t, p, Guest{Kind: "a"})
		second, other := p.enterLater(t.Context(), Guest{Kind: "a"}), p.enterLater(t.Context(), Guest{Kind: "b"})
		second.expect(t, false, "")
		p.End("a")
		p.End("a")
		synctest.Wait()
		if !second.done || !errors.Is(second.err, ErrEnded) || second.seat != nil {
			t.Errorf("who waited got %v, %v", second.seat, second.err)
		}
		if !p.Over("a") || p.Over("b") {
			t.Error("the wrong kind has ended")
		}
		other.expect(t, false, "")
		first.Leave()
		other.expect(t, true, "1 guests ran already")
		if _, err := p.Enter(t.Context(), Guest{Kind: "a"}); !errors.Is(err, ErrEnded) {
			t.Errorf("who came later got %v", err)
		}
	})
}

func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(1, roomy())
		first := enter(t, p, Guest{})
		ctx, cancel := context.WithCancelCause(t.Context())
		second, third := p.enterLater(ctx, Guest{}), p.enterLater(t.Context(), Guest{})
		synctest.Wait()
		why := errors.New("enough")
		cancel(why)
		synctest.Wait()
		if !second.done || !errors.Is(second.err, why) {
			t.Errorf("who waited got %v", second.err)
		}
		first.Leave()
		third.expect(t, true, "1 guests ran already")
	})
}

// TestNil: without a pool everybody is admitted.
func TestNil(t *testing.T) {
	var p *Pool
	s, err := p.Enter(t.Context(), Guest{Need: 1 << 60})
	if err != nil || s != nil {
		t.Fatal(s, err)
	}
	s.Up()
	s.Fares(1, 1)
	s.Leave()
	p.End("")
	if waited, why := s.Waited(); waited != 0 || why != "" || p.Over("") || p.Ended("") != nil {
		t.Error("nobody is somebody")
	}
}

// TestNeverTooMany: whatever guests do, there are never more than allowed nor
// more memory promised than there is, and in the end everybody had a seat.
func TestNeverTooMany(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.IntRange(1, 5).Draw(rt, "most")
		memory := rapid.Int64Range(1, 6).Draw(rt, "GiB") * gib
		needs := rapid.SliceOfN(rapid.Int64Range(1, 4), 1, 12).Draw(rt, "needs")
		lives := rapid.SliceOfN(rapid.IntRange(0, 200), len(needs), len(needs)).Draw(rt, "lives")
		starving := rapid.SliceOfN(rapid.Float64Range(-0.1, 1), len(needs), len(needs)).Draw(rt, "starving")
		synctest.Test(t, func(t *testing.T) {
			p := New(most, Host{Cores: 2, Available: func() int64 { return memory + spare }}) // none of it is ever taken
			var mu sync.Mutex
			now, promised, seated := 0, int64(0), 0
			count := func(n int, need int64) {
				mu.Lock()
				defer mu.Unlock()
				now, promised, seated = now+n, promised+int64(n)*need, seated+max(0, n)
				if now > most || now > 1 && promised > memory {
					rt.Errorf("%d guests, %d GiB promised of %d", now, promised/gib, memory/gib)
				}
			}
			for i, need := range needs {
				go func() {
					g := Guest{Kind: string(rune('a' + i%2)), Need: need * gib}
					s, err := p.Enter(t.Context(), g)
					if err != nil {
						rt.Error(err)
						return
					}
					count(1, g.Need)
					time.Sleep(time.Duration(lives[i]) * time.Second)
					s.Up()
					s.Fares(starving[i], 0)
					time.Sleep(time.Duration(lives[i]) * time.Second)
					count(-1, g.Need)
					s.Leave()
				}()
			}
			time.Sleep(24 * time.Hour)
			synctest.Wait()
			if seated != len(needs) || len(p.seats) != 0 {
				rt.Errorf("%d of %d guests had a seat, %d still have one", seated, len(needs), len(p.seats))
			}
		})
	})
}
