// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"regexp"
	"slices"
	"strings"

	"plugstorm/harness/frame"
)

// Limits on what a report may make us keep. Lines come from an untrusted guest.
const (
	maxChain  = 256 // links, classes, usages
	maxHeld   = 128 // locks of a task, and tasks; MAX_LOCK_DEPTH is 48
	maxStack  = 128 // frames
	maxSteps  = 64
	maxString = 512 // bytes of a rule or a name
)

// Parse reads a complaint: its lines in order, without time stamps and caller
// ids, beginning with the heading. It reports false when the heading is none
// of lockdep's. A cut-off complaint yields what is there.
func Parse(lines []string) (*Report, bool) {
	if len(lines) == 0 {
		return nil, false
	}
	kind := kindOf(lines[0])
	if kind == "" {
		return nil, false
	}
	p := newParser(kind)
	p.heading(frame.Printable(lines[0]))
	for _, line := range lines[1:] {
		p.line(frame.Printable(line))
	}
	p.finish()
	return p.report, true
}

// A parser reads one report, line by line. Each part of a report begins with
// a line of its own (see openings), which says how the lines after it are read.
type parser struct {
	report  *Report
	body    func(p *parser, line string) // reads the lines of the current part; nil skips them
	stack   *[]string                    // takes the frames that come, if not nil
	trace   []string                     // the final stack: of the task that complains
	classes map[string]bool

	links  []numberedLink // "-> #n", as printed: in reverse order
	exists []string       // "Chain exists of", in order
	fresh  *Edge          // the new dependency of an irq order

	irq irqParts
}

// A numberedLink is a link with its place in the chain.
type numberedLink struct {
	n int
	Link
}

func newParser(kind Kind) *parser {
	p := &parser{report: &Report{Kind: kind}, classes: map[string]bool{}}
	p.irq.into = &p.irq.second
	return p
}

// An opening is text that begins a part of a report.
type opening struct {
	text  string
	begin func(p *parser, line string)
}

// openings in the order in which they are tried. The first text that a line
// holds decides.
var openings = slices.Concat([]opening{
	{"is trying to acquire", (*parser).tries},
	{"is trying to lock", (*parser).tries},
	{"just changed the state of lock", (*parser).tries},
	{"] takes:", (*parser).tries},
	{"with a lock still held there", (*parser).tries},
	{"is trying to release lock (", (*parser).releases},
	{"is trying to contend lock (", (*parser).releases},
	{"already holding", func(p *parser, _ string) { p.body = (*parser).holding }},
	{"is not holding:", func(p *parser, _ string) { p.body = (*parser).nest }},
	{"the existing dependency chain", func(p *parser, _ string) { p.body = (*parser).chain }},
	{"Chain exists of", func(p *parser, _ string) { p.body = (*parser).chainExists }},
	{"unsafe locking scenario", func(p *parser, _ string) { p.body = (*parser).scenario }},
	{"*** DEADLOCK ***", func(*parser, string) {}},
	{" held by ", (*parser).heldBy},
	{"is leaving the kernel", (*parser).task},
	{"is exiting with locks", (*parser).task},
	{"state was registered at:", (*parser).registered},
	{"stack backtrace:", (*parser).backtrace},
	{"Call Trace:", (*parser).backtrace},
	{"Call trace:", (*parser).backtrace},
	{"rcu_scheduler_active = ", (*parser).rcuState},
	{"RCU used illegally from ", (*parser).rcuIllegal},
	{"workfn=", (*parser).workFunction},
	{"last function: ", (*parser).workFunction},
}, irqOpenings, []opening{
	{"other info that might help us", func(*parser, string) {}},
	{"Preemption disabled at", func(*parser, string) {}},
	{"irq event stamp", func(*parser, string) {}},
})

func (p *parser) line(line string) {
	for i := range openings {
		if strings.Contains(line, openings[i].text) {
			p.body, p.stack = nil, nil
			openings[i].begin(p, line)
			return
		}
	}
	switch {
	case p.loose(line):
	case p.frame(line):
	case p.body != nil:
		p.body(p, line)
	}
}

// frame adds a frame to the stack that is being read.
func (p *parser) frame(line string) bool {
	if p.stack == nil {
		return false
	}
	fn := frameOf(line)
	if fn == "" {
		return false
	}
	if len(*p.stack) < maxStack {
		*p.stack = append(*p.stack, fn)
	}
	return true
}

var (
	// The task that complains; a comm may hold blanks and slashes.
	taskRE    = regexp.MustCompile(`^\s*(\S.*?/\d+)(?: \[HC\d.*\])? (?:is trying to|just changed the state|takes|is freeing memory|is leaving the kernel|is exiting)`)
	usageRE   = regexp.MustCompile(`^\s*inconsistent \{([^}]*)\} -> \{([^}]*)\} usage`)
	contextRE = regexp.MustCompile(`^\s*context-\{(\d+):\d+\}`)
	commRE    = regexp.MustCompile(`\bPID: (\d+) Comm: (.+?) (?:Not tainted|Tainted)`)
	rcuSiteRE = regexp.MustCompile(`^\s*(\S+\.[chSly]:\d+) (\S.*?)!?$`)
	stillRE   = regexp.MustCompile(`(?:WARNING|BUG): (.+/\d+) still has locks held`)
	leakRE    = regexp.MustCompile(`workqueue leaked [a-zA-Z, ]*: (.+?)(?:\[(\d+)\]|/(0x[0-9a-f]+|-?\d+)/(\d+))`)
)

// heading reads what the first line says besides the kind.
func (p *parser) heading(line string) {
	r := p.report
	switch r.Kind {
	case IRQUnsafe:
		if before, _, ok := strings.Cut(line, "-safe -> "); ok {
			r.Usage = irqState(before[strings.LastIndexAny(before, " :[")+1:])
		}
	case StillHeld:
		if m := stillRE.FindStringSubmatch(line); m != nil {
			r.Task = clip(m[1])
		}
	case WorkLeak:
		if m := leakRE.FindStringSubmatch(line); m != nil {
			r.Task = clip(m[1] + "/" + m[2] + m[4])
		}
	}
}

// loose reads the lines that stand for themselves.
func (p *parser) loose(line string) bool {
	r := p.report
	if r.Task == "" && strings.Contains(line, " Comm: ") {
		if m := commRE.FindStringSubmatch(line); m != nil {
			r.Task = clip(m[2] + "/" + m[1])
			return true
		}
	}
	switch r.Kind {
	case InconsistentState:
		if m := usageRE.FindStringSubmatch(line); m != nil {
			r.Usage = clip(m[1]) + " -> " + clip(m[2])
			return true
		}
	case InvalidWait:
		if m := contextRE.FindStringSubmatch(line); m != nil {
			r.Context = number(m[1])
			p.body = nil
			return true
		}
	case SuspiciousRCU:
		if m := rcuSiteRE.FindStringSubmatch(line); m != nil && r.Rule == "" && p.stack == nil {
			r.Where, r.Rule = strings.TrimPrefix(clip(m[1]), "./"), clip(m[2])
			return true
		}
	}
	return false
}

func clip(s string) string {
	if len(s) > maxString {
		s = strings.ToValidUTF8(s[:maxString], "")
	}
	return strings.TrimSpace(s)
}

// class normalises a name and notes the class.
func (p *parser) class(name string) string {
	c := normalizeClass(clip(name))
	if c != "" && len(p.classes) < maxChain {
		p.classes[c] = true
	}
	return c
}
