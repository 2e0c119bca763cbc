// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Limits on what a report may make us keep. Lines come from an untrusted guest.
const (
	maxChain = 256
	maxHeld  = 128
	maxStack = 128
)

// A kindPattern recognises the heading of one kind.
type kindPattern struct {
	mark string
	kind Kind
}

var kinds = []kindPattern{
	{"possible circular locking dependency detected", Circular},
	{"possible recursive locking detected", Recursive},
	{"-safe -> ", IRQUnsafe},
	{"possible irq lock inversion dependency detected", IRQInversion},
	{"inconsistent lock state", InconsistentState},
	{"bad unlock balance detected", BadUnlock},
	{"held lock freed", HeldLockFreed},
	{"still has locks held", StillHeld},
	{"lock held when returning to user space", ReturnsHolding},
	{"nvalid wait context", InvalidWait},
	{"ested lock was not taken", NestNotTaken},
	{"suspicious RCU usage", SuspiciousRCU},
}

// KindOf reads the kind from a report's heading line, or returns "".
func KindOf(heading string) Kind {
	for _, k := range kinds {
		if strings.Contains(heading, k.mark) {
			return k.kind
		}
	}
	return ""
}

var (
	// "ffff8880 (&x->lock#2/1){+.+.}-{3:3}, at: func+0x1/0x2" and its older and
	// shorter forms: no address, no wait types, "[<ffff>]" before the function.
	lockRE = regexp.MustCompile(`^\s*(?:#\d+:\s*)?(?:([0-9a-f]{8,16})\s+)?\(((?:[^{}]|\{\})+?)\)\{([^}]*)\}(?:-\{\d+:\d+\})?(?:,\s*at:\s*(?:\[<[^>]*>\]\s*)?([A-Za-z_][\w.]*))?`)
	linkRE = regexp.MustCompile(`^\s*-> #(\d+) \((.+)\)\{[^}]*\}(?:-\{\d+:\d+\})?:`)
	newRE  = regexp.MustCompile(`^\s*\((.+)\)\{[^}]*\}(?:-\{\d+:\d+\})? -> \((.+)\)\{[^}]*\}`)
	// The task that complains; a comm may hold blanks and slashes.
	taskRE    = regexp.MustCompile(`^\s*(\S.*?/\d+)(?: \[HC\d.*\])? (?:is trying to|just changed the state|takes|is freeing memory|is leaving the kernel)`)
	usageRE   = regexp.MustCompile(`^inconsistent \{([^}]*)\} -> \{([^}]*)\} usage`)
	releaseRE = regexp.MustCompile(`is trying to release lock \((.+)\) at:`)
	frameRE   = regexp.MustCompile(`^\s*(?:\[<?[0-9a-f]+>?\]\s*){0,2}([A-Za-z_][\w.$]*)\+0x[0-9a-f]+/0x[0-9a-f]+`)
)

// Parse reads a complaint: its lines in order, without time stamps and caller
// ids, beginning with the heading. It reports false when the heading is none
// of lockdep's. A cut-off complaint yields what is there.
func Parse(lines []string) (*Report, bool) {
	if len(lines) == 0 {
		return nil, false
	}
	kind := KindOf(lines[0])
	if kind == "" {
		return nil, false
	}
	p := parser{report: &Report{Kind: kind}, classes: map[string]bool{}}
	for _, line := range lines[1:] {
		p.line(line)
	}
	p.finish()
	return p.report, true
}

// A section is the part of a report that the current line is in.
type section int

const (
	inIntro   section = iota
	inTried           // next lock line is the one being acquired
	inHolding         // next lock line is the conflicting one
	inNewEdge         // next line is "(A){..} -> (B){..}"
	inChain           // stacks of "-> #n" links
	inExists          // next line is "A --> B --> C"
	inHeld            // " #0: ..." lines
	inOther
)

type parser struct {
	report  *Report
	section section
	exists  []string // the classes of "Chain exists of", in order
	newEdge *Edge
	classes map[string]bool
}

// openings maps the text that opens a section to it. The order matters where
// one text contains another.
var openings = []struct {
	text string
	to   section
}{
	{"is trying to acquire", inTried},
	{"is trying to lock", inTried},
	{"just changed the state of lock", inTried},
	{"] takes:", inTried},
	{"with a lock still held there", inTried},
	{"already holding", inHolding},
	{"would create a new lock dependency", inNewEdge},
	{"the existing dependency chain", inChain},
	{"Chain exists of", inExists},
	{" held by ", inHeld},
	{"other info that might help us", inOther},
	{"stack backtrace:", inOther},
	{"the dependencies between", inOther},
}

func (p *parser) line(line string) {
	if p.report.Task == "" {
		if m := taskRE.FindStringSubmatch(line); m != nil {
			p.report.Task = m[1]
		}
	}
	if m := usageRE.FindStringSubmatch(line); m != nil {
		p.report.Usage = m[1] + " -> " + m[2]
	}
	if m := releaseRE.FindStringSubmatch(line); m != nil {
		p.report.Tried = &Lock{Name: m[1], Class: p.class(m[1])}
	}
	for _, o := range openings {
		if strings.Contains(line, o.text) {
			p.section = o.to
			return
		}
	}
	p.content(line)
}

func (p *parser) content(line string) {
	switch p.section {
	case inTried:
		p.lock(line, &p.report.Tried)
	case inHolding:
		p.lock(line, &p.report.Holding)
	case inNewEdge:
		if m := newRE.FindStringSubmatch(line); m != nil {
			p.newEdge = &Edge{From: p.class(m[1]), To: p.class(m[2])}
			p.section = inOther
		}
	case inChain:
		p.chain(line)
	case inExists:
		if strings.Contains(line, " --> ") {
			for _, name := range strings.Split(line, " --> ") {
				p.exists = append(p.exists, p.class(name))
			}
			p.section = inOther
		}
	case inHeld:
		if l := parseLock(line); l != nil && len(p.report.Held) < maxHeld {
			p.report.Held = append(p.report.Held, *l)
		}
	}
}

// lock keeps the first lock line of a section.
func (p *parser) lock(line string, into **Lock) {
	l := parseLock(line)
	if l == nil {
		return
	}
	if *into == nil {
		*into = l
	}
	p.class(l.Name)
	p.section = inOther
}

// chain reads "-> #n" headings and the stack under each.
func (p *parser) chain(line string) {
	links := &p.report.Chain
	if m := linkRE.FindStringSubmatch(line); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n < maxChain && len(*links) < maxChain {
			*links = append(*links, Link{Class: p.class(m[2])})
		}
		return
	}
	if m := frameRE.FindStringSubmatch(line); m != nil && len(*links) > 0 {
		last := &(*links)[len(*links)-1]
		if len(last.Stack) < maxStack {
			last.Stack = append(last.Stack, m[1])
		}
	}
}

// class normalises a name and notes the class.
func (p *parser) class(name string) string {
	c := NormalizeClass(name)
	if c != "" && len(p.classes) < maxChain {
		p.classes[c] = true
	}
	return c
}

func (p *parser) finish() {
	r := p.report
	slices.Reverse(r.Chain) // lockdep prints it in reverse order
	switch r.Kind {
	case Circular:
		p.circle()
	case Recursive:
		if r.Tried != nil && r.Holding != nil {
			r.Edges = []Edge{{From: r.Holding.Class, To: r.Tried.Class}}
		}
	case IRQUnsafe, IRQInversion:
		p.existing()
	case StillHeld, ReturnsHolding:
		for _, l := range r.Held {
			p.class(l.Name)
		}
	}
	for c := range p.classes {
		r.Classes = append(r.Classes, c)
	}
	slices.Sort(r.Classes)
}

// circle makes the cycle's edges: each link was acquired under the one before
// it, and the new acquisition closes the circle from the last one back to #0.
func (p *parser) circle() {
	r := p.report
	for i := 1; i < len(r.Chain); i++ {
		r.Edges = append(r.Edges, Edge{From: r.Chain[i-1].Class, To: r.Chain[i].Class})
	}
	switch {
	case len(r.Chain) > 1:
		r.Edges = append(r.Edges, Edge{From: r.Chain[len(r.Chain)-1].Class, To: r.Chain[0].Class})
	case r.Tried != nil && r.Holding != nil: // the chain is cut off
		r.Edges = []Edge{{From: r.Holding.Class, To: r.Tried.Class}}
	}
}

// existing makes edges from "Chain exists of", or from the new dependency
// where the chain is too short for lockdep to print one.
func (p *parser) existing() {
	for i := 1; i < len(p.exists); i++ {
		p.report.Edges = append(p.report.Edges, Edge{From: p.exists[i-1], To: p.exists[i]})
	}
	if len(p.report.Edges) == 0 && p.newEdge != nil {
		p.report.Edges = []Edge{*p.newEdge}
	}
}

// parseLock reads a line that names a lock, or returns nil.
func parseLock(line string) *Lock {
	m := lockRE.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	return &Lock{Addr: m[1], Name: m[2], Class: NormalizeClass(m[2]), Usage: m[3], At: m[4]}
}
