// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"regexp"
	"strings"

	"plugstorm/harness/frame"
)

// The parts that the reports share.

// task notes who complains.
func (p *parser) task(line string) {
	if m := taskRE.FindStringSubmatch(line); m != nil && p.report.Task == "" {
		p.report.Task = clip(m[1])
	}
}

// tries is the line before the lock that is being acquired, freed or used.
func (p *parser) tries(line string) {
	p.task(line)
	p.body = (*parser).tried
}

func (p *parser) tried(line string)   { p.lock(line, &p.report.Tried) }
func (p *parser) holding(line string) { p.lock(line, &p.report.Holding) }

// lock keeps the first lock line of a part.
func (p *parser) lock(line string, into **Lock) {
	l := parseLock(line)
	if l == nil {
		return
	}
	if *into == nil {
		*into = l
		p.class(l.Name)
	}
	p.body = nil
}

var releaseRE = regexp.MustCompile(`is trying to (?:release|contend) lock \((.+)\) at:`)

// releases is "T is trying to release lock (NAME) at:". The next line is where.
func (p *parser) releases(line string) {
	p.task(line)
	if m := releaseRE.FindStringSubmatch(line); m != nil && p.report.Tried == nil {
		p.report.Tried = &Lock{Name: clip(m[1]), Class: p.class(m[1])}
		p.body = func(p *parser, line string) {
			p.report.Tried.At = frameOf(line)
			p.body = nil
		}
	}
}

// nest is the name of the lock that should have been held.
func (p *parser) nest(line string) {
	if name := strings.TrimSpace(line); name != "" {
		p.report.Nest = p.class(clip(name))
		p.body = nil
	}
}

var (
	heldRE = regexp.MustCompile(`^\s*(\d+) locks? held by (.+/\d+):`)
	noneRE = regexp.MustCompile(`^\s*no locks held by (.+/\d+)\.`)
)

// heldBy is "2 locks held by T:". The list is the complaining task's if no
// task is known to be another.
func (p *parser) heldBy(line string) {
	r := p.report
	m := heldRE.FindStringSubmatch(line)
	if m == nil {
		if none := noneRE.FindStringSubmatch(line); none != nil && r.Task == "" {
			r.Task = clip(none[1])
		}
		return
	}
	task := clip(m[2])
	if r.Task == "" {
		r.Task = task
	}
	if task == r.Task && len(r.Held) == 0 {
		r.Holds = number(m[1])
		p.body = func(p *parser, line string) { hold(&p.report.Held, line) }
		return
	}
	if len(r.Others) < maxHeld {
		r.Others = append(r.Others, Held{Task: task, Count: number(m[1])})
		p.body = func(p *parser, line string) { hold(&p.report.Others[len(p.report.Others)-1].Locks, line) }
	}
}

// hold adds a line " #0: lock" to a list of held locks.
func hold(list *[]Lock, line string) {
	if l := parseLock(line); l != nil && len(*list) < maxHeld {
		*list = append(*list, *l)
	}
}

// backtrace is the final stack. Some reports print it twice.
func (p *parser) backtrace(string) {
	if len(p.trace) == 0 {
		p.stack = &p.trace
	}
}

// chain reads the "-> #n" headings, each with the stack under it.
func (p *parser) chain(line string) {
	m := linkRE.FindStringSubmatch(line)
	if m == nil || len(p.links) >= maxChain {
		return
	}
	p.links = append(p.links, numberedLink{number(m[1]), Link{Class: p.class(m[2])}})
	p.stack = &p.links[len(p.links)-1].Stack
}

func (p *parser) chainExists(line string) {
	if !strings.Contains(line, " --> ") {
		return
	}
	for _, name := range strings.SplitN(line, " --> ", maxChain) {
		p.exists = append(p.exists, p.class(name))
	}
	p.body = nil
}

var stepRE = regexp.MustCompile(`^(\s*)(lock|rlock|sync|read_lock)\((.*)\);$`)

// column is where the scenario's second CPU begins; its first one's lines are
// indented by 2, in an interrupt by 4.
const column = 16

func (p *parser) scenario(line string) {
	var s Step
	m := stepRE.FindStringSubmatch(line)
	indent := len(line) - len(strings.TrimLeft(line, " \t"))
	switch {
	case m != nil:
		s = Step{Do: strings.Replace(m[2], "read_lock", "rlock", 1), Class: normalizeClass(clip(m[3]))}
	case strings.Contains(line, "local_irq_disable();"):
		s.Do = "local_irq_disable"
	case strings.Contains(line, "<Interrupt>"):
		s.Do = "interrupt"
	default:
		return
	}
	if indent >= column {
		s.CPU = 1
	}
	r := p.report
	if n := len(r.Steps); n > 0 {
		last := r.Steps[n-1]
		s.In = s.CPU == last.CPU && (last.Do == "interrupt" || last.In)
	}
	if len(r.Steps) < maxSteps {
		r.Steps = append(r.Steps, s)
	}
}

// registered is "{IN-SOFTIRQ-R} state was registered at:".
func (p *parser) registered(line string) {
	state, _, _ := strings.Cut(strings.TrimSpace(line), "}")
	u := Usage{State: clip(strings.TrimPrefix(state, "{"))}
	if p.report.Tried != nil {
		u.Class = p.report.Tried.Class
	}
	p.used(u)
}

// used adds a usage whose stack follows.
func (p *parser) used(u Usage) {
	if len(p.report.Usages) < maxChain {
		p.report.Usages = append(p.report.Usages, u)
		p.stack = &p.report.Usages[len(p.report.Usages)-1].Stack
	}
}

var rcuStateRE = regexp.MustCompile(`rcu_scheduler_active = (\d+)(?:, debug_locks = (\d+))?`)

func (p *parser) rcu() *RCU {
	if p.report.RCU == nil {
		p.report.RCU = &RCU{}
	}
	return p.report.RCU
}

func (p *parser) rcuState(line string) {
	if m := rcuStateRE.FindStringSubmatch(line); m != nil && p.report.Kind == SuspiciousRCU {
		p.rcu().Scheduler, p.rcu().DebugLocks = number(m[1]), m[2] != "0"
	}
}

// rcuIllegal is "RCU used illegally from offline CPU!" and its like.
func (p *parser) rcuIllegal(line string) {
	_, from, _ := strings.Cut(line, "RCU used illegally from ")
	if p.report.Kind == SuspiciousRCU {
		p.rcu().Illegal = clip(strings.TrimRight(from, "!"))
	}
}

var workFnRE = regexp.MustCompile(`(?:workfn=|last function: )([\w.]+)`)

func (p *parser) workFunction(line string) {
	if m := workFnRE.FindStringSubmatch(line); m != nil && p.report.Work == "" {
		p.report.Work = frame.Bare(clip(m[1]))
	}
}
