// SPDX-License-Identifier: Apache-2.0

package pool

import "time"

// A Seat is a guest's place in a pool. A nil Seat does nothing.
type Seat struct {
	pool   *Pool
	guest  Guest
	since  time.Time
	waited time.Duration
	why    string

	// The pool's lock is for what follows.
	rising  bool // not up yet
	left    bool
	private int64
	starved float64
	looked  time.Time // at starved
}

// Waited says how long the guest had to wait for its seat, and why at last; ""
// if it didn't have to.
func (s *Seat) Waited() (time.Duration, string) {
	if s == nil || s.why == "" {
		return 0, ""
	}
	return s.waited, s.why
}

// Up says that the guest has come up, or never will. It may be called for every
// guest that has the seat.
func (s *Seat) Up() {
	if s == nil {
		return
	}
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.up()
}

func (s *Seat) up() {
	if !s.rising {
		return
	}
	s.rising = false
	k := s.pool.kind(s.guest.Kind)
	k.coming--
	k.tried = true
	s.pool.wake()
}

// Fares says how the guest has fared lately: the share of the time in which it
// wanted a CPU of the host and got none, negative for unknown, and the memory
// that is its own, in bytes.
func (s *Seat) Fares(starved float64, private int64) {
	if s == nil {
		return
	}
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.private = private
	if starved >= 0 {
		s.starved, s.looked = starved, time.Now()
	}
	s.pool.wake()
}

// Leave gives the seat up. It may be called more than once.
func (s *Seat) Leave() {
	if s == nil {
		return
	}
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	if s.left {
		return
	}
	s.left = true
	s.up()
	delete(s.pool.seats, s)
	s.pool.wake()
}
