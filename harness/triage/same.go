// SPDX-License-Identifier: Apache-2.0

package triage

import (
	"cmp"
	"fmt"
	"slices"

	"plugstorm/harness/lockdep"
	"plugstorm/harness/splat"
)

// An Answer says whether two logs show the same bug.
type Answer string

// The answers. Unknown is for what the logs leave open.
const (
	Same      Answer = "same"
	Different Answer = "different"
	Unknown   Answer = "unknown"
)

// A Comparison of two logs.
type Comparison struct {
	Same Answer `json:"same"`
	Why  string `json:"why"` // a sentence
	A    Side   `json:"a"`
	B    Side   `json:"b"`
	// Diff sets edges and stacks of the two complaints side by side: "  " begins
	// what both have, "- " what only A has, "+ " what only B has.
	Diff []string `json:"diff"`
}

// A Side is one log of a comparison.
type Side struct {
	File     string   `json:"file"`
	Title    string   `json:"title"` // of the complaint that was compared, "" if there is none
	Type     string   `json:"type"`
	Identity string   `json:"identity"`
	Only     []string `json:"only"` // the titles of other complaints, which the other log doesn't show
}

// maxCompared bounds how many different complaints of a log are compared.
const maxCompared = 128

// Compare says whether two logs show the same bug. They do if any complaint of
// one that isn't just a consequence is the same bug as one of the other. That
// none is can be said of logs alone that were read and kept to their ends.
func Compare(a, b *Log) Comparison {
	c := Comparison{A: Side{File: a.File, Only: []string{}}, B: Side{File: b.File, Only: []string{}}, Diff: []string{}}
	inA, inB := distinct(a.Findings), distinct(b.Findings)
	if len(inA) == 0 || len(inB) == 0 {
		c.Same, c.Why = Unknown, silent(a, b, len(inA), len(inB))
	} else {
		best := pair{}
		for _, x := range inA {
			for _, y := range inB {
				best = best.better(relate(x, y))
			}
		}
		c.Same, c.Why = best.answer, best.why
		if part := cmp.Or(partial(a, inA), partial(b, inB)); part != "" && c.Same == Different {
			c.Same, c.Why = Unknown, "as far as they go they differ ("+c.Why+"), but "+part
		}
		c.A.take(best.a)
		c.B.take(best.b)
		c.Diff = difference(best.a, best.b)
	}
	c.A.Only, c.B.Only = others(inA, inB, c.A.Identity), others(inB, inA, c.B.Identity)
	return c
}

func silent(a, b *Log, inA, inB int) string {
	switch {
	case inA == 0 && inB == 0:
		return "neither log shows a complaint about the kernel"
	case inA == 0:
		return fmt.Sprintf("%s shows no complaint about the kernel", a.File)
	}
	return fmt.Sprintf("%s shows no complaint about the kernel", b.File)
}

// partial says why there may be more in a log than what is compared, or "".
func partial(l *Log, compared []*complaint) string {
	switch {
	case l.Error != "":
		return l.File + " wasn't read to its end"
	case l.Dropped > 0, len(compared) == maxCompared:
		return l.File + " has more complaints than are compared"
	}
	return ""
}

func (s *Side) take(f *complaint) { s.Title, s.Type, s.Identity = f.Title, f.Type, f.Identity }

// A complaint is the first sighting of one identity in a log.
type complaint struct {
	*splat.Finding
	after string // title of the fatal complaint of the same boot that it follows
}

// distinct lists the complaints of a log, once each.
func distinct(found []Finding) []*complaint {
	var all []*complaint
	fatal, part := "", ""
	seen := map[string]bool{}
	for i := range found {
		f := &found[i]
		if f.Part != part || f.Type == splat.TypeReboot {
			fatal, part = "", f.Part
		}
		if f.Type == splat.TypeLostSight || f.Type == splat.TypeReboot {
			continue // what they say is true of any bug
		}
		if !seen[f.Identity] && len(all) < maxCompared {
			seen[f.Identity] = true
			all = append(all, &complaint{&f.Finding, fatal})
		}
		if f.Fatal && fatal == "" {
			fatal = f.Title
		}
	}
	return all
}

// others lists the titles of what in has and not doesn't have.
func others(in, not []*complaint, but string) []string {
	titles := []string{}
	for _, f := range in {
		if f.Identity != but && !slices.ContainsFunc(not, func(g *complaint) bool { return g.Identity == f.Identity }) {
			titles = append(titles, f.Title)
		}
	}
	return titles
}

// A pair of complaints with what they have to do with each other.
type pair struct {
	answer Answer // "" for no pair
	why    string
	a, b   *complaint
}

// better returns the pair that says more: the first of those that rank highest.
func (p pair) better(q pair) pair {
	rank := []Answer{"", Different, Unknown, Same}
	if slices.Index(rank, q.answer) > slices.Index(rank, p.answer) {
		return q
	}
	return p
}

// relate compares two complaints. The first relation that holds decides.
func relate(a, b *complaint) pair {
	for _, r := range relations {
		if why := r.holds(a, b); why != "" {
			return pair{r.answer, why, a, b}
		}
	}
	return pair{Different, differ(a, b), a, b}
}

// A relation is one thing that two complaints may have to do with each other.
type relation struct {
	answer Answer
	holds  func(a, b *complaint) string // why, a sentence; "" if it doesn't hold
}

// relations are asked in this order.
var relations = []relation{
	{Unknown, bothConsequences},
	{Unknown, consequence},
	{Same, sameIdentity},
	{Same, sameEdges},
	{Same, predicted},
	{Same, shortCut},
	{Unknown, akin},
	{Unknown, sharedEdges},
	{Unknown, sameTitle},
	{Unknown, cutOff},
}

// A complaint behind a fatal one of the same boot may be its consequence: that
// two logs end in the same panic doesn't make their bugs one.
func bothConsequences(a, b *complaint) string {
	if a.Identity != b.Identity || a.after == "" || b.after == "" {
		return ""
	}
	return fmt.Sprintf("both have %q, but only behind something worse, of which it may be a consequence: %q and %q", a.Title, a.after, b.after)
}

func consequence(a, b *complaint) string {
	if a.Identity != b.Identity || a.after == "" && b.after == "" {
		return ""
	}
	return fmt.Sprintf("both have %q; in one of them it follows %q, of which it may be a consequence, and the other doesn't show that", a.Title, a.after+b.after)
}

func sameIdentity(a, b *complaint) string {
	if a.Identity != b.Identity {
		return ""
	}
	if a.Locks != nil && b.Locks != nil {
		_, why := lockdep.Related(a.Locks, b.Locks)
		return "both have the same identity: " + why
	}
	if a.Title == b.Title {
		return "both have the same identity: " + a.Identity
	}
	return fmt.Sprintf("different titles, but the same identity: %s", a.Identity)
}

// sameTitle: syzbot would file them together; what led there differs.
func sameTitle(a, b *complaint) string {
	if a.Locks != nil && b.Locks != nil {
		return "" // a deadlock is named after a function, and its edges tell more
	}
	for _, title := range append([]string{a.Title}, a.Alt...) {
		if title == b.Title || slices.Contains(b.Alt, title) {
			return fmt.Sprintf("both can be called %q, but what led there differs", title)
		}
	}
	return ""
}

func cutOff(a, b *complaint) string {
	if a.Type != b.Type || !a.Corrupted && !b.Corrupted {
		return ""
	}
	return "a report is cut off, or mixed with other output, so that its identity isn't known"
}

func differ(a, b *complaint) string {
	switch {
	case a.Type != b.Type:
		return fmt.Sprintf("complaints of different types: %s and %s", cmp.Or(a.Type, "one without a type"), cmp.Or(b.Type, "one without a type"))
	case a.Locks != nil && b.Locks != nil:
		return "they have no lock dependency in common"
	}
	return fmt.Sprintf("they are about different functions: %s and %s", cmp.Or(named(a.Title), a.Title), cmp.Or(named(b.Title), b.Title))
}
