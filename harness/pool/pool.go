// SPDX-License-Identifier: Apache-2.0

// Package pool says when a guest may be started beside others, so that several
// runs on one host don't take its memory or its CPUs away from each other. It
// knows nothing of what guests are or do.
package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Host is what a pool has to share out.
type Host struct {
	Cores int // CPUs that we may use

	// Available says how many bytes of memory can be had, 0 for unknown: guests
	// run one at a time then. It is called often, and never by two at once.
	Available func() int64
}

// A Guest is what is to be started.
type Guest struct {
	// Kind names those that are alike. The first one of a kind comes up alone:
	// what it leaves (a snapshot) may save the others a boot.
	Kind string
	Need int64 // the most memory that it will have, in bytes
}

const (
	// maxStarved is how much of the time that they want a CPU guests may wait for
	// one, on average, when another one joins them. It is where the judge stops
	// to believe in what guests say about time (verdict/starved.go).
	maxStarved = 0.5

	// spare is what is left of the memory that can be had, in bytes.
	spare = 512 << 20
)

// ErrEnded says that no guest is wanted any more.
var ErrEnded = errors.New("the run has ended early")

// A Pool is the guests that run at once. It is safe for concurrent use. A nil
// Pool admits everyone at once and never ends.
type Pool struct {
	max  int
	host Host

	mu      sync.Mutex
	seats   map[*Seat]bool
	kinds   map[string]*kind
	last    time.Time     // of the last admission
	changed chan struct{} // closed, and replaced, when somebody who waits should look again
}

// A kind is what is known of one kind of guests.
type kind struct {
	ended  chan struct{}
	over   bool // ended is closed
	tried  bool // a guest of it has come up, or has ended without
	coming int  // guests on their way up
}

// New makes a pool of up to most guests.
func New(most int, host Host) *Pool {
	return &Pool{max: most, host: host, seats: map[*Seat]bool{}, kinds: map[string]*kind{}, changed: make(chan struct{})}
}

// kind finds or makes what is known of a kind. p.mu is held.
func (p *Pool) kind(name string) *kind {
	k := p.kinds[name]
	if k == nil {
		k = &kind{ended: make(chan struct{})}
		p.kinds[name] = k
	}
	return k
}

// wake has everyone who waits look again. p.mu is held.
func (p *Pool) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// End says that no guest of a kind is wanted any more.
func (p *Pool) End(kind string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.kind(kind); !k.over {
		k.over = true
		close(k.ended)
	}
}

// Ended is closed by End; nil, of which nothing ever comes, for a nil Pool.
func (p *Pool) Ended(kind string) <-chan struct{} {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kind(kind).ended
}

// Over reports whether End was called.
func (p *Pool) Over(kind string) bool {
	select {
	case <-p.Ended(kind):
		return true
	default:
		return false
	}
}

// Enter blocks until there is room for a guest, its kind has been ended
// (ErrEnded), or ctx ends. Who enters has to leave. While nobody has a seat
// there is room for everyone: a pool never comes to a standstill.
func (p *Pool) Enter(ctx context.Context, g Guest) (*Seat, error) {
	if p == nil {
		return nil, nil //nolint:nilnil // a nil Seat does nothing
	}
	began, why := time.Now(), ""
	ended := p.Ended(g.Kind)
	for {
		if p.Over(g.Kind) {
			return nil, ErrEnded
		}
		seat, refused, changed := p.try(g)
		if seat != nil {
			seat.why, seat.waited = why, seat.since.Sub(began)
			return seat, nil
		}
		why = refused
		select {
		case <-changed:
		case <-ended:
		case <-ctx.Done():
		}
		if ctx.Err() != nil { // also if room came at that moment: who leaves may do so for the same reason
			return nil, context.Cause(ctx)
		}
	}
}

// try seats a guest, or says why it can't yet and what to wait for.
func (p *Pool) try(g Guest) (seat *Seat, why string, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if why = p.refuse(g); why != "" {
		return nil, why, p.changed
	}
	seat = &Seat{pool: p, guest: g, since: time.Now(), rising: true}
	p.seats[seat] = true
	p.kind(g.Kind).coming++
	p.last = seat.since
	return seat, "", nil
}

// refuse says why a guest has to wait, "" if it doesn't. p.mu is held.
func (p *Pool) refuse(g Guest) string {
	n := len(p.seats)
	switch k := p.kind(g.Kind); {
	case n == 0:
		return ""
	case n >= p.max:
		return fmt.Sprintf("%d guests ran already", n)
	case !k.tried && k.coming > 0:
		return "the first guest of its kind was on its way"
	}
	if why := p.short(g); why != "" {
		return why
	}
	return p.crowded(n)
}

// short says that the host may not have the memory. Those who run may still
// take what they have not taken yet.
func (p *Pool) short(g Guest) string {
	available := p.host.Available()
	if available == 0 {
		return "the host doesn't say how much memory it has left"
	}
	for s := range p.seats {
		available -= max(0, s.guest.Need-s.private)
	}
	if available-spare < g.Need {
		return fmt.Sprintf("the host has no %d MiB of memory left for it", g.Need>>20)
	}
	return ""
}

// crowded says that the host is out of CPU. As long as it has a CPU for each
// guest it isn't we who load it, and others may never stop: then nobody waits.
func (p *Pool) crowded(n int) string {
	if n < p.host.Cores {
		return ""
	}
	share, known := p.starved()
	switch {
	case !known:
		return "it was not known yet how those that ran fare"
	case share > maxStarved:
		return fmt.Sprintf("those that ran waited for a CPU of the host for %.0f %% of the time", 100*share)
	}
	return ""
}

// starved is how the guests fare, on average. It is known if each of them has
// been looked at since the last one joined them.
func (p *Pool) starved() (share float64, known bool) {
	for s := range p.seats {
		if !s.looked.After(p.last) {
			return 0, false
		}
		share += s.starved
	}
	return share / float64(len(p.seats)), true
}
