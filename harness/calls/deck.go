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

// NewDeck shuffles sites. First come those that are for a guest's end, where nothing
// has many turns, and then those that a guest calls once: later they don't come about.
func NewDeck(r *rand.Rand, sites []Site) *Deck {
	d := &Deck{}
	for _, group := range []func(Site) bool{
		func(s Site) bool { return s.Last }, func(s Site) bool { return s.Once && !s.Last }, func(s Site) bool { return !s.Once && !s.Last },
	} {
		var some []Site
		for _, s := range sites {
			if group(s) {
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

// Firsts is how many of the next sites in a row are those that a guest calls once.
func (d *Deck) Firsts() int {
	n := 0
	for n < len(d.sites) && d.sites[(d.next+n)%len(d.sites)].Once {
		n++
	}
	return n
}

// Deal says that the next n have had their turn.
func (d *Deck) Deal(n int) { d.next += n }
