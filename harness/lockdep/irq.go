// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"regexp"
	"strings"

	"plugstorm/harness/frame"
)

// The parts of reports about interrupts: X-safe -> X-unsafe order, and
// inversion. Both say that a path of acquisitions leads from a lock that
// interrupt handlers take to one that is held with interrupts enabled.

// irqParts is what the two kinds have besides.
type irqParts struct {
	safe, unsafe string  // the classes at the path's ends
	state        string  // "HARDIRQ", "SOFTIRQ", "RECLAIM_FS"
	forward      bool    // an inversion that was found from its safe end
	first        []Link  // "the dependencies between X-irq-safe lock and the holding lock", as printed
	second       []Link  // "... the lock to be acquired and X-irq-unsafe lock"; of an inversion the only list
	into         *[]Link // which of them is being read
}

var irqOpenings = []opening{
	{"would create a new lock dependency", func(p *parser, _ string) { p.body = (*parser).newDependency }},
	{"-safe lock in the past", (*parser).otherLock},
	{"-unsafe lock in the past", (*parser).otherLock},
	{"but this new dependency connects a", func(p *parser, line string) { p.end(line, &p.irq.safe) }},
	{"-irq-unsafe lock:", (*parser).unsafeLock},
	{"which became ", (*parser).became},
	{"safe lock and the holding lock", func(p *parser, _ string) { p.path(&p.irq.first) }},
	{"the dependencies between the lock to be acquired", func(p *parser, _ string) { p.path(&p.irq.second) }},
	{"the shortest dependencies between", func(p *parser, _ string) { p.path(&p.irq.second) }},
	{" ... key ", (*parser).key},
	{" ... acquired at:", (*parser).acquired},
}

// irqState cuts "-irq" and the reader's mark: one bug may be seen from either.
func irqState(s string) string {
	s = strings.TrimSuffix(strings.TrimSpace(s), "-irq")
	return clip(strings.TrimSuffix(s, "-READ"))
}

// stateRE finds the irq state in the lines that name it.
var stateRE = regexp.MustCompile(`([A-Z_]+(?:-READ)?)(?:-irq)?-(?:un)?safe`)

func (p *parser) noteState(line string) {
	if m := stateRE.FindStringSubmatch(line); m != nil && p.irq.state == "" {
		p.irq.state = irqState(m[1])
	}
}

func (p *parser) newDependency(line string) {
	if m := dependencyRE.FindStringSubmatch(line); m != nil {
		p.fresh = &Edge{From: p.class(m[1]), To: p.class(m[5])}
		p.body = nil
	}
}

// end reads the name of the lock at one end of the path.
func (p *parser) end(line string, class *string) {
	p.noteState(line)
	p.body = func(p *parser, line string) {
		if l := parseLock(line); l != nil && *class == "" {
			*class = p.class(l.Name)
			p.body = nil
		}
	}
}

// unsafeLock is "to a HARDIRQ-irq-unsafe lock:", or the end of the heading of
// the second list, which printk breaks in two.
func (p *parser) unsafeLock(line string) {
	if strings.Contains(line, " and ") {
		p.path(&p.irq.second)
		return
	}
	p.end(line, &p.irq.unsafe)
}

// otherLock is an inversion's "but this lock took another, X-unsafe lock in
// the past:", or "... was taken by another, X-safe lock in the past:".
func (p *parser) otherLock(line string) {
	p.irq.forward = strings.Contains(line, "-unsafe ")
	near, far := &p.irq.unsafe, &p.irq.safe
	if p.irq.forward {
		near, far = far, near
	}
	if p.report.Tried != nil {
		*near = p.report.Tried.Class
	}
	p.end(line, far)
}

// became is "... which became HARDIRQ-irq-safe at:".
func (p *parser) became(line string) {
	p.noteState(line)
	if m := stateRE.FindString(line); m != "" {
		class := p.irq.safe
		if strings.HasSuffix(m, "unsafe") {
			class = p.irq.unsafe
		}
		p.used(Usage{Class: class, State: strings.Replace(m, "-irq-", "-", 1)})
	}
}

// path begins a list of classes with their usages and stacks.
func (p *parser) path(into *[]Link) {
	p.irq.into = into
	p.body = (*parser).pathLine
}

// markRE matches what heads the stack of one usage of a class: "   IN-HARDIRQ-W at:".
var markRE = regexp.MustCompile(`^\s+(IN-[A-Z_]+-[RW]|[A-Z_]+-ON-[RW]|INITIAL[A-Z ]*|[a-z-]+) at:`)

func (p *parser) pathLine(line string) {
	if m := classRE.FindStringSubmatch(line); m != nil {
		if len(*p.irq.into) < maxChain {
			*p.irq.into = append(*p.irq.into, Link{Class: p.class(m[1])})
		}
		p.stack = nil
		return
	}
	if m := markRE.FindStringSubmatch(line); m != nil {
		p.stack = nil
		p.usageOf(m[1])
	}
}

// usageOf keeps the usage that makes the path's end safe or unsafe, where the
// report hasn't said so yet: an inversion has it only here.
func (p *parser) usageOf(state string) {
	list := *p.irq.into
	if len(list) == 0 || p.report.Kind != IRQInversion || p.irq.state == "" {
		return
	}
	class := list[len(list)-1].Class
	in := strings.HasPrefix(state, "IN-"+p.irq.state+"-")
	on := strings.HasPrefix(state, p.irq.state+"-ON-")
	if in && class == p.irq.safe || on && class == p.irq.unsafe {
		p.used(Usage{Class: class, State: state})
	}
}

var keySymbolRE = regexp.MustCompile(`key\s+at: (?:\[<[^>]*>\] )?([A-Za-z_][\w.]*)`)

// key is " ... key      at: [<ffff>] rtnl_mutex+0x0/0x40".
func (p *parser) key(line string) {
	p.body = (*parser).pathLine
	if m := keySymbolRE.FindStringSubmatch(line); m != nil && len(*p.irq.into) > 0 {
		(*p.irq.into)[len(*p.irq.into)-1].Key = frame.Bare(m[1])
	}
}

// acquired is " ... acquired at:".
func (p *parser) acquired(string) {
	p.body = (*parser).pathLine
	if len(*p.irq.into) > 0 {
		p.stack = &(*p.irq.into)[len(*p.irq.into)-1].Stack
	}
}
