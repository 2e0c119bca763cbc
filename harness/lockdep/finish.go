// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"slices"
	"strings"

	"plugstorm/harness/frame"
)

// finish makes the model out of what was read.
func (p *parser) finish() {
	r := p.report
	switch {
	case r.Kind == Circular:
		p.circle()
	case r.Kind == Recursive:
		if r.Tried != nil && r.Holding != nil {
			r.Edges = []Edge{{From: r.Holding.Class, To: r.Tried.Class}}
		}
	case r.Kind.irqOrder():
		p.order()
	case r.Kind == InvalidWait:
		p.stricter()
	case r.Kind == StillHeld, r.Kind == ReturnsHolding, r.Kind == WorkLeak:
		for _, l := range r.Held {
			p.class(l.Name)
		}
	}
	p.sites()
	p.modes()
	for c := range p.classes {
		r.Classes = append(r.Classes, c)
	}
	slices.Sort(r.Classes)
}

// circle makes the chain and the cycle's edges: each link was acquired under
// the one before it, and the new acquisition, #0, closes the circle under the
// last one. The heading names both ends too, so that they can be had from
// there when links are lost.
func (p *parser) circle() {
	r := p.report
	slices.Reverse(p.links) // lockdep prints them in reverse order
	if len(p.links) > 0 && p.links[0].n == 1 && r.Tried != nil {
		p.links = slices.Insert(p.links, 0, numberedLink{0, Link{Class: r.Tried.Class}})
	}
	for i := range p.links {
		if p.links[i].n != i {
			r.Incomplete = true
		}
		r.Chain = append(r.Chain, p.links[i].Link)
	}
	if len(r.Chain) < 2 {
		r.Incomplete = true
		if r.Tried != nil && r.Holding != nil {
			r.Edges = []Edge{{From: r.Holding.Class, To: r.Tried.Class}}
		}
		return
	}
	r.Edges = edgesOf(r.Chain)
	first, last := r.Chain[0], r.Chain[len(r.Chain)-1]
	r.Edges = append(r.Edges, Edge{From: last.Class, To: first.Class, FromIs: told(last.Class, first.Stack)})
	for i := range r.Edges {
		r.Edges[i].ToIs = r.Edges[(i+1)%len(r.Edges)].FromIs
	}
}

// edgesOf returns the edges between neighbours of a path.
func edgesOf(path []Link) []Edge {
	var edges []Edge
	for i := 1; i < len(path); i++ {
		e := Edge{From: path[i-1].Class, To: path[i].Class, FromIs: told(path[i-1].Class, path[i].Stack)}
		if i > 1 {
			edges[i-2].ToIs = e.FromIs
		}
		edges = append(edges, e)
	}
	return edges
}

// order makes the path from the safe lock to the unsafe one.
func (p *parser) order() {
	r := p.report
	if r.Usage == "" {
		r.Usage = p.irq.state
	}
	if r.Kind == IRQUnsafe {
		r.Chain = p.bridge()
	} else {
		r.Chain = p.inversion()
	}
	if len(r.Chain) > 1 {
		r.Edges = edgesOf(r.Chain)
		p.nameUsages(r.Chain[0].Class, r.Chain[len(r.Chain)-1].Class)
		return
	}
	p.nameUsages(p.irq.safe, p.irq.unsafe)
	// The lists are cut off. "Chain exists of" leaves links out when there
	// are more than three, and is left out itself when there are two.
	r.Incomplete = true
	for i := 1; i < len(p.exists); i++ {
		r.Edges = append(r.Edges, Edge{From: p.exists[i-1], To: p.exists[i]})
	}
	switch {
	case len(r.Edges) > 0:
	case p.fresh != nil:
		r.Edges = []Edge{*p.fresh}
	case p.irq.safe != "" && p.irq.unsafe != "":
		r.Edges = []Edge{{From: p.irq.safe, To: p.irq.unsafe}}
	}
}

// nameUsages gives the usages whose lock's line is lost their class.
func (p *parser) nameUsages(safe, unsafe string) {
	for i := range p.report.Usages {
		u := &p.report.Usages[i]
		switch {
		case u.Class != "":
		case strings.HasSuffix(u.State, "-unsafe"):
			u.Class = unsafe
		default:
			u.Class = safe
		}
	}
}

// bridge joins the two lists of an X-safe -> X-unsafe order: from the safe lock
// to the one held, and, printed in reverse, from the one tried to the unsafe
// one. Without either it returns nil.
func (p *parser) bridge() []Link {
	first, second := p.irq.first, p.irq.second
	if len(first) == 0 || len(second) == 0 {
		return nil
	}
	if len(first[0].Stack) > 0 {
		shift(first) // before 5.12
	}
	slices.Reverse(second)
	return slices.Concat(first, second)
}

// inversion orders an inversion's list. Found from its safe end it is printed
// in reverse; found from its unsafe end in order, and then each stack is that
// of the next lock's acquisition.
func (p *parser) inversion() []Link {
	path := p.irq.second
	if p.irq.forward {
		slices.Reverse(path)
		if len(path) > 0 {
			path[0].Stack = nil // where the lock's state changed: no acquisition under another
		}
		return path
	}
	shift(path)
	return path
}

// shift moves each stack to the next link, whose acquisition it is.
func shift(path []Link) {
	for i := len(path) - 1; i > 0; i-- {
		path[i].Stack = path[i-1].Stack
	}
	if len(path) > 0 {
		path[0].Stack = nil
	}
}

// stricter finds the lock held that forbids the one tried: the latest of those
// with the lowest inner wait type, if that is lower than the outer one of the
// lock tried (check_wait_context). Without one it is the context that does.
func (p *parser) stricter() {
	r := p.report
	if r.Tried == nil {
		return
	}
	for i := range r.Held {
		l := &r.Held[i]
		if l.Inner > 0 && l.Inner < r.Tried.Outer && (r.Holding == nil || l.Inner <= r.Holding.Inner) {
			r.Holding = l
		}
	}
	if r.Holding != nil {
		copied := *r.Holding
		r.Holding = &copied
		p.class(copied.Name)
		r.Edges = []Edge{{From: copied.Class, To: r.Tried.Class}}
	}
}

// sites names the functions on whose behalf locks were acquired.
func (p *parser) sites() {
	r := p.report
	for i := range r.Chain {
		l := &r.Chain[i]
		l.Site, l.Mode = Site(l.Stack), stackMode(l.Stack)
	}
	if r.Tried == nil {
		return
	}
	r.Tried.Site = frame.Bare(r.Tried.At)
	stack := p.trace
	switch r.Kind {
	case Circular:
		if len(r.Chain) > 0 && len(r.Chain[0].Stack) > 0 {
			stack = r.Chain[0].Stack
		}
	case Recursive, InvalidWait, NestNotTaken:
	default:
		return
	}
	if site := Site(stack); site != "" {
		r.Tried.Site = site
	}
}

// modes fills in the modes that the scenario and the stacks tell. Only since
// 6.3 does a scenario say "rlock", so "lock" proves nothing.
func (p *parser) modes() {
	r := p.report
	if r.Tried != nil && r.Tried.Mode == "" {
		r.Tried.Mode = stackMode(p.trace)
	}
	if r.Kind != Circular || len(r.Steps) == 0 {
		return
	}
	drawn := map[string]Mode{"rlock": Read, "sync": Sync}
	first, last := r.Steps[0], r.Steps[len(r.Steps)-1]
	if m := drawn[first.Do]; m != "" && r.Holding != nil && r.Holding.Class == first.Class {
		r.Holding.Mode = m
	}
	if m := drawn[last.Do]; m != "" && r.Tried != nil && r.Tried.Class == last.Class {
		r.Tried.Mode = m
	}
}
