// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"strings"

	"plugstorm/harness/console"
	"plugstorm/harness/lockdep"
	"plugstorm/harness/triage"
	"plugstorm/harness/waitfor"
)

// A diagram is a lock cycle or a wait-for graph to be drawn. Its texts are
// escaped for people, not yet for a format.
type diagram struct {
	title  string
	nodes  []node
	arrows []arrow
}

type node struct {
	label  string
	detail string // a second line, may be ""
	marked bool   // it is in the cycle
}

type arrow struct {
	from, to int // indexes of nodes
	label    string
	marked   bool // it is in the cycle
	guessed  bool // nothing in the report names it
}

// Bounds on what is drawn: more can't be read.
const (
	maxDiagrams = 16
	maxNodes    = 32
	maxLabel    = 60 // runes
)

// diagrams draws each complaint of a log that has something to draw, once.
func diagrams(l *triage.Log) []diagram {
	var all []diagram
	for _, g := range group(l.Findings) {
		d, ok := newDiagram(g[0])
		if ok && len(all) < maxDiagrams {
			all = append(all, d)
		}
	}
	return all
}

// Drawable counts the complaints of a log that Dot and SVG would draw.
func Drawable(l *triage.Log) int { return len(diagrams(l)) }

func newDiagram(f *triage.Finding) (diagram, bool) {
	d := diagram{title: label(f.Title)}
	switch {
	case f.Locks != nil && len(f.Locks.Edges) > 0:
		d.locks(f.Locks)
	case f.Waits != nil:
		d.waits(f.Waits)
	}
	return d, len(d.arrows) > 0
}

// label makes a text fit to be shown in a drawing.
func label(s string) string {
	runes := []rune(strings.ReplaceAll(console.Escape(s), "\t", " "))
	if len(runes) > maxLabel {
		return string(runes[:maxLabel-1]) + "…"
	}
	return string(runes)
}

// node returns the index of the node with a label, a new one if need be; or
// false if there are too many.
func (d *diagram) node(name string) (int, bool) {
	name = label(name)
	for i := range d.nodes {
		if d.nodes[i].label == name {
			return i, true
		}
	}
	if len(d.nodes) == maxNodes {
		return 0, false
	}
	d.nodes = append(d.nodes, node{label: name})
	return len(d.nodes) - 1, true
}

// locks draws lock dependencies: an arrow leads from the class that was held to
// the one that was acquired then, and has the name of the function for which.
func (d *diagram) locks(r *lockdep.Report) {
	for _, e := range r.Edges {
		from, ok := d.node(e.From)
		to, ok2 := d.node(e.To)
		if !ok || !ok2 {
			return
		}
		d.nodes[from].is(e.FromIs)
		d.nodes[to].is(e.ToIs)
		d.arrows = append(d.arrows, arrow{from: from, to: to, label: label(acquirer(r, e.To)), marked: true})
	}
}

// is marks a node of a lock cycle. what tells apart classes that have one name.
func (n *node) is(what string) {
	n.marked = true
	if n.detail == "" {
		n.detail = label(what)
	}
}

// acquirer says for which function a class was acquired, and how; or "".
func acquirer(r *lockdep.Report, class string) string {
	fn, mode := "", lockdep.Mode("")
	for _, link := range r.Chain {
		if link.Class == class && len(link.Stack) > 0 {
			fn, mode = lockdep.Site(link.Stack), link.Mode
			break
		}
	}
	if r.Tried != nil && r.Tried.Class == class && fn == "" {
		fn, mode = cmp.Or(r.Tried.Site, r.Tried.At), r.Tried.Mode
	}
	if fn != "" && (mode == lockdep.Read || mode == lockdep.Write) {
		fn += fmt.Sprintf(" (%s)", string(mode))
	}
	return fn
}

// waits draws who waits for whom: an arrow leads to the task that is waited
// for, and has the name of the lock or whatever it is.
func (d *diagram) waits(g *waitfor.Graph) {
	next := map[string]string{} // in the cycle, by task
	for i, at := range g.Cycle {
		next[g.Waits[at].Task] = g.Waits[g.Cycle[(i+1)%len(g.Cycle)]].Task
	}
	for _, w := range g.Waits {
		from, ok := d.node(w.Task)
		if !ok {
			return
		}
		d.nodes[from].marked = next[w.Task] != ""
		d.nodes[from].detail = label(w.Site)
		for _, by := range w.By {
			if to, ok := d.node(by.Task); ok {
				d.arrows = append(d.arrows, arrow{
					from: from, to: to, label: label(object(w.Object)),
					marked: next[w.Task] == by.Task, guessed: by.Why == waitfor.Inferred,
				})
			}
		}
	}
}

// object names what a task waits for; a lock's name says that it is a lock.
func object(o waitfor.Object) string {
	s := string(o.Kind)
	switch o.Kind {
	case waitfor.Mutex, waitfor.RWSem, waitfor.PercpuRWSem, waitfor.Spinlock, waitfor.Lock:
		s = cmp.Or(o.Name, s)
	default:
		s = strings.TrimSpace(s + " " + o.Name)
	}
	if o.Mode != "" {
		s += fmt.Sprintf(" (%s)", string(o.Mode))
	}
	return s
}
