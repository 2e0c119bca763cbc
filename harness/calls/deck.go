// SPDX-License-Identifier: Apache-2.0

package calls

import "math/rand/v2"

// A Deck deals an op's sites one after the other in an order of its own, so
// that each has its turn before one comes again. It is not safe for concurrent
// use.
type Deck struct {
	sites []Site
	next  int
}

// NewDeck shuffles sites. Those that a guest calls once come first: later they
// don't come about. So do those that are for its end, where nothing has many turns.
func NewDeck(r *rand.Rand, sites []Site) *Deck {
	d := &Deck{}
	for _, first := range []bool{true, false} {
		var some []Site
		for _, s := range sites {
			if (s.Once || s.Last) == first {
				some = append(some, s)
			}
		}
		r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		d.sites = append(d.sites, some...)
	}
	return d
}

// Draw makes calls of the next n sites, fewer if there are fewer, and leaves
// the deck as it is.
func (d *Deck) Draw(r *rand.Rand, n int) []Call {
	var drawn []Call
	for i := range min(n, len(d.sites)) {
		s := d.sites[(d.next+i)%len(d.sites)]
		drawn = append(drawn, Call{Func: s.Func, Errno: s.Errnos[r.IntN(len(s.Errnos))], Nth: 1 + r.IntN(s.Nth), Arg: s.Arg})
	}
	return drawn
}

// Deal says that the next n have had their turn.
func (d *Deck) Deal(n int) { d.next += n }
