// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"math"
	"slices"
)

// A Change is how the callers of a function hold a lock differently in two
// tables.
type Change struct {
	Func   string    `json:"func"`
	Lock   string    `json:"lock"` // "" when the function was called in one of the tables only
	Before Frequency `json:"before"`
	After  Frequency `json:"after"`
	A      Counts    `json:"a"` // before
	B      Counts    `json:"b"` // after
	// Chance says that so few calls may differ like this by chance.
	Chance bool `json:"chance"`
}

// Counts are a lock's, with the mode in which it was seen held.
type Counts struct {
	Calls int64  `json:"calls"`
	Write int64  `json:"write"`
	Read  int64  `json:"read"`
	Mode  string `json:"mode"`
}

// chance is the probability above which a difference is said to be possible by
// chance (Fisher's exact test).
const chance = 0.01

// Diff lists what differs between two tables: locks that were always held in
// one of them and not in the other, locks held in other modes, and functions
// that were called in one of them only. What comes and goes with the callers,
// held sometimes here and never there, is no change. What can't be chance comes
// first; the rest is sorted by function.
func Diff(a, b []Contract) []Change {
	changes := []Change{}
	before, after := index(a), index(b)
	for _, name := range names(before, after) {
		x, y := before[name], after[name]
		switch {
		case x.Checked == 0 && y.Checked == 0:
		case x.Checked == 0 || y.Checked == 0:
			changes = append(changes, calledOnce(name, x.Checked, y.Checked))
		default:
			changes = append(changes, locksDiffer(name, x, y)...)
		}
	}
	slices.SortStableFunc(changes, func(p, q Change) int { return cmp.Compare(p.weight(), q.weight()) })
	return changes
}

// weight sorts changes: those of locks, those that may be chance, functions.
func (c Change) weight() int {
	switch {
	case c.Lock == "":
		return 2
	case c.Chance:
		return 1
	}
	return 0
}

func index(contracts []Contract) map[string]Contract {
	byFunc := map[string]Contract{}
	for _, c := range contracts {
		byFunc[c.Func] = c
	}
	return byFunc
}

// names lists the keys of two maps, sorted, once each.
func names[V any](a, b map[string]V) []string {
	var all []string
	for name := range a {
		all = append(all, name)
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// calledOnce is the change of a function that was called in one table only.
func calledOnce(name string, before, after int64) Change {
	seen := func(calls int64) Frequency {
		if calls > 0 {
			return Seen
		}
		return Unknown
	}
	return Change{Func: name, Before: seen(before), After: seen(after), A: Counts{Calls: before}, B: Counts{Calls: after}, Chance: true}
}

func locksDiffer(name string, x, y Contract) []Change {
	var changes []Change
	a, b := locksOf(x), locksOf(y)
	for _, lock := range names(a, b) {
		l, m := held(a, lock, x.Checked), held(b, lock, y.Checked)
		c := Change{Func: name, Lock: lock, Before: l.Frequency(), After: m.Frequency(), A: l.counts(), B: m.counts()}
		often := c.Before != c.After && (c.Before == Always || c.After == Always)
		mode := c.A.Mode != c.B.Mode && c.Before != Never && c.After != Never
		switch {
		case often:
			c.Chance = fisher(l.Write+l.Read, l.Not, m.Write+m.Read, m.Not) > chance
		case mode:
			c.Chance = fisher(l.Write, l.Read, m.Write, m.Read) > chance
		default:
			continue
		}
		changes = append(changes, c)
	}
	return changes
}

func locksOf(c Contract) map[string]Lock {
	all := map[string]Lock{}
	for _, l := range c.Locks {
		all[l.Name] = l
	}
	return all
}

// held is a lock's counts; one without any was never held.
func held(all map[string]Lock, name string, checked int64) Lock {
	if l, ok := all[name]; ok {
		return l
	}
	return Lock{Name: name, Not: checked}
}

func (l Lock) counts() Counts {
	return Counts{Calls: l.Write + l.Read + l.Not, Write: l.Write, Read: l.Read, Mode: l.Mode()}
}

// fisher is the two-sided p-value of Fisher's exact test: how probable it is
// that a of a+b and c of c+d differ this much or more if nothing has changed.
func fisher(a, b, c, d int64) float64 {
	rows, yes, total := a+b, a+c, a+b+c+d
	seen := hypergeometric(a, rows, yes, total)
	p := 0.0
	// The distribution falls off fast: beyond 1000 calls only its neighbourhood counts.
	low, high := max(0, rows+yes-total), min(rows, yes)
	for k := max(low, a-1000); k <= min(high, a+1000); k++ {
		if q := hypergeometric(k, rows, yes, total); q <= seen*(1+1e-9) {
			p += q
		}
	}
	return min(p, 1)
}

// hypergeometric is the probability of k hits among n of total, of which yes hit.
func hypergeometric(k, n, yes, total int64) float64 {
	return math.Exp(choose(yes, k) + choose(total-yes, n-k) - choose(total, n))
}

// choose is the logarithm of a binomial coefficient.
func choose(n, k int64) float64 {
	if k < 0 || k > n {
		return math.Inf(-1)
	}
	ln := func(x int64) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	return ln(n) - ln(k) - ln(n-k)
}
