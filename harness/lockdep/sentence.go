// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"fmt"
	"strings"

	"plugstorm/harness/frame"
)

// maxTold is how many acquisitions a sentence tells of.
const maxTold = 6

// Sentence says in one or two sentences what is wrong, as a maintainer would.
// It is one line of printable text, however broken the report was.
func (r *Report) Sentence() string {
	switch r.Kind {
	case Circular:
		return r.sayCircle()
	case Recursive:
		return r.sayRecursion()
	case IRQUnsafe, IRQInversion:
		return r.sayOrder()
	case InconsistentState:
		return r.sayState()
	case InvalidWait:
		return r.sayWait()
	case BadUnlock, BadContention, HeldLockFreed, NestNotTaken:
		return r.sayMisuse()
	case StillHeld, ReturnsHolding, WorkLeak:
		return r.sayLeak()
	case SuspiciousRCU:
		return r.sayRCU()
	case Assertion, SelfCheck:
		return r.sayAssertion()
	}
	return fmt.Sprintf("%s uses a lock whose class lockdep can't tell: it was never initialised, or its key isn't static.", r.who())
}

func (r *Report) who() string {
	if r.Task == "" {
		return "A task"
	}
	return r.Task
}

// sayCircle tells of the acquisition that closes the cycle, then of those that
// were seen before, the latest in the chain first.
func (r *Report) sayCircle() string {
	if len(r.Edges) == 0 {
		return r.who() + " acquires a lock that others acquire in another order; the rest of the report is lost."
	}
	named := namer()
	closing := r.Edges[len(r.Edges)-1]
	verb := "acquires"
	if r.Tried != nil && r.Tried.Mode == Sync {
		verb = "waits for"
	}
	now := fmt.Sprintf("%s %s %s%s%s while holding %s.", r.who(), verb, named(closing.To, closing.ToIs), r.trying(), in(r.site()), named(closing.From, closing.FromIs))
	var before []string
	for i := len(r.Edges) - 2; i >= 0 && i+1 < len(r.Chain) && len(before) < maxTold; i-- {
		e, l := r.Edges[i], r.Chain[i+1]
		verb := " was acquired"
		if len(before) > 0 {
			verb = "" // said once
		}
		before = append(before, named(e.To, e.ToIs)+verb+inMode(l.Mode)+in(l.Site)+" while holding "+named(e.From, e.FromIs))
	}
	switch {
	case len(before) == 0:
		return now + " The order that this contradicts is lost."
	case len(r.Edges)-1 > len(before):
		before = append(before, fmt.Sprintf("so on through %d more", len(r.Edges)-1-len(before)))
	}
	return now + " Elsewhere " + list(before) + "."
}

func (r *Report) site() string {
	if r.Tried == nil {
		return ""
	}
	return r.Tried.Site
}

func (r *Report) trying() string {
	if r.Tried == nil {
		return ""
	}
	return inMode(r.Tried.Mode)
}

func (r *Report) sayRecursion() string {
	if r.Tried == nil || r.Holding == nil {
		return r.who() + " acquires a lock that it already holds."
	}
	what := "another lock of that class"
	switch {
	case r.Tried.Class != r.Holding.Class:
		what = r.Holding.Class
	case r.Tried.Addr == r.Holding.Addr && r.Tried.Addr != "":
		what = "it"
	}
	return fmt.Sprintf("%s acquires %s%s%s while already holding %s%s.",
		r.who(), r.Tried.Class, r.trying(), in(r.Tried.Site), what, acquired(r.Holding.At))
}

// sayOrder tells of a path from a lock that interrupts take to one that is
// held with interrupts enabled.
func (r *Report) sayOrder() string {
	if len(r.Edges) == 0 {
		return fmt.Sprintf("%s makes a lock that %s handlers take wait for one that they can interrupt; the rest of the report is lost.", r.who(), r.context())
	}
	safe, unsafe := r.Edges[0].From, r.Edges[len(r.Edges)-1].To
	var via []string
	for _, e := range r.Edges[1:] {
		via = append(via, e.From)
	}
	through := ""
	if len(via) > 0 {
		through = " (through " + strings.Join(via, ", ") + ")"
	}
	return fmt.Sprintf("While %s is held, %s is acquired%s. But %s is also held%s with %s enabled, and %s is acquired%s in a %s: one that comes while %s is held waits for ever.",
		safe, unsafe, through, unsafe, r.usedIn(unsafe, "unsafe"), plural(r.context()), safe, r.usedIn(safe, "safe"), r.context(), unsafe)
}

// context names the kind of interrupt, or of reclaim, that an order is about.
func (r *Report) context() string {
	switch r.irqContext() {
	case "HARDIRQ", "hard":
		return "hardirq"
	case "SOFTIRQ", "soft":
		return "softirq"
	case "RECLAIM_FS":
		return "memory reclaim"
	case "NMI":
		return "NMI"
	}
	return "interrupt"
}

func plural(context string) string {
	if context == "memory reclaim" {
		return context
	}
	return context + "s"
}

// usedIn names the function of a usage of the class.
func (r *Report) usedIn(class, role string) string {
	for _, u := range r.Usages {
		unsafe := strings.HasSuffix(u.State, "-unsafe") || strings.Contains(u.State, "-ON-")
		if u.Class == class && unsafe == (role == "unsafe") {
			return in(Site(u.Stack))
		}
	}
	return ""
}

func (r *Report) sayState() string {
	if r.Tried == nil {
		return r.who() + " uses a lock in two contexts that exclude each other; the rest of the report is lost."
	}
	before, now, _ := strings.Cut(r.Usage, " -> ")
	earlier := ""
	if len(r.Usages) > 0 {
		earlier = in(Site(r.Usages[0].Stack))
	}
	return fmt.Sprintf("%s uses %s%s %s, but it was used%s %s: a %s that comes while it is held waits for ever.",
		r.who(), r.Tried.Class, in(r.Tried.Site), state(now), earlier, state(before), r.context())
}

// state spells a usage bit out.
func state(usage string) string {
	name := strings.ToLower(usageState(usage))
	switch {
	case strings.HasPrefix(usage, "IN-"):
		return "in " + name + " context"
	case strings.Contains(usage, "-ON-"):
		return "with " + name + "s enabled"
	case usage == "":
		return "in another state"
	}
	return "in state " + usage
}

func (r *Report) sayWait() string {
	if r.Tried == nil {
		return r.who() + " acquires a lock that may sleep where one can't."
	}
	where := "in a context that forbids it" + waits(r.Context)
	if r.Holding != nil {
		where = "while holding " + r.Holding.Class + acquired(r.Holding.At) + waits(r.Holding.Inner)
	}
	return fmt.Sprintf("%s acquires %s%s%s %s: it may sleep there.", r.who(), r.Tried.Class, waits(r.Tried.Outer), in(r.Tried.Site), where)
}

func waits(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (wait type %d)", n)
}

func (r *Report) sayMisuse() string {
	if r.Tried == nil {
		return r.who() + " misuses a lock; the rest of the report is lost."
	}
	l := r.Tried
	switch r.Kind {
	case BadUnlock:
		return fmt.Sprintf("%s releases %s%s, which it doesn't hold.", r.who(), l.Class, in(l.Site))
	case BadContention:
		return fmt.Sprintf("%s waits for %s%s, which nobody holds.", r.who(), l.Class, in(l.Site))
	case HeldLockFreed:
		return fmt.Sprintf("%s frees memory with %s in it, which it holds%s.", r.who(), l.Class, acquired(l.At))
	}
	return fmt.Sprintf("%s acquires %s%s without holding %s, which is to nest it.", r.who(), l.Class, in(l.Site), r.Nest)
}

func (r *Report) sayLeak() string {
	var held []string
	for _, l := range r.Held {
		held = append(held, l.Class+acquired(l.At))
	}
	what := strings.Join(held, ", ")
	if what == "" {
		what = "a lock"
	}
	switch r.Kind {
	case WorkLeak:
		return fmt.Sprintf("The work function %s returned holding %s.", orUnknown(r.Work), what)
	case ReturnsHolding:
		return fmt.Sprintf("%s returns to user space holding %s.", r.who(), what)
	}
	return fmt.Sprintf("%s exits, or freezes, holding %s.", r.who(), what)
}

func (r *Report) sayRCU() string {
	if r.Rule == "" {
		return r.who() + " breaks a rule of RCU; the rest of the report is lost."
	}
	said := fmt.Sprintf("%s breaks a rule of RCU at %s: %s", r.who(), r.Where, r.Rule)
	if r.RCU != nil && r.RCU.Illegal != "" {
		said += ", from " + r.RCU.Illegal
	}
	if len(r.Held) == 0 {
		said += ", with no lock held."
	} else {
		said += ", holding " + strings.Join(namesOf(r.Held), ", ") + "."
	}
	if r.RCU != nil && !r.RCU.DebugLocks {
		said += " Lockdep was off already, so this may be false."
	}
	return said
}

func (r *Report) sayAssertion() string {
	if r.Kind == SelfCheck {
		return fmt.Sprintf("The lock code found its own data wrong at %s: %s. Lockdep is off from here on.", orUnknown(r.Where), r.Rule)
	}
	if r.Where == "" { // the rule checker's
		return fmt.Sprintf("%s breaks the rule about %s.", r.who(), r.Rule)
	}
	return fmt.Sprintf("%s fails the assertion at %s: %s.", r.who(), orUnknown(r.Where), r.Rule)
}

func namesOf(locks []Lock) []string {
	var names []string
	for _, l := range locks {
		names = append(names, l.Class)
	}
	return names
}

// namer returns a function that names a class, and when it first does, which
// of those of its name it is.
func namer() func(class, is string) string {
	said := map[string]bool{}
	return func(class, is string) string {
		if is == "" || said[class] {
			return class
		}
		said[class] = true
		if strings.HasPrefix(class, completesWork) {
			return class + " (the work of " + is + ")"
		}
		return class + " (of the file " + is + ")"
	}
}

// list joins clauses.
func list(clauses []string) string {
	if n := len(clauses); n > 1 {
		return strings.Join(clauses[:n-1], ", ") + " and " + clauses[n-1]
	}
	return strings.Join(clauses, "")
}

func in(site string) string {
	if site == "" {
		return ""
	}
	return " in " + site
}

func acquired(at string) string {
	if at == "" {
		return ""
	}
	return " (acquired in " + frame.Bare(at) + ")"
}

func inMode(m Mode) string {
	switch m {
	case Read:
		return " for reading"
	case Write:
		return " for writing"
	}
	return ""
}

func orUnknown(s string) string {
	if s == "" {
		return "an unknown place"
	}
	return s
}
