// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"slices"
	"strings"

	"plugstorm/harness/lockdep"
)

// Bounds on a report, and the patience with which its end is awaited.
const (
	maxLines = 4096    // kept; further ones only move the end
	maxBytes = 1 << 20 // kept

	strangeBefore = 200        // lines of the same source that look like no report, before its stack was seen
	strangeAfter  = 12         // the same, after it
	foreign       = 4000       // lines of other sources
	silence       = 5_000_000  // kernel time in µs without a line, once there was a stack
	nmiSilence    = 15_000_000 // the same, while other CPUs are being asked (nmi_trigger_cpumask_backtrace waits 10 s)
)

// A Report collects the lines of one complaint.
type Report struct {
	detector *Detector
	prelude  *Detector // the one before takeOver
	lines    []Line    // trailing strange ones are cut by finding
	head     int       // index of the complaint's own first line; before it stands its prelude
	bytes    int

	end     int64 // behind the last line that belongs to it
	belongs int   // number of lines up to it
	frames  int
	strange int   // lines in a row that don't look like a report's
	others  int   // lines of other sources since the last own one
	since   int64 // kernel time of the first of them
	allCPUs bool  // lines of other CPUs belong to it too
	final   bool  // lockdep's last stack has begun
	closed  bool

	evs   []event // see events
	fault string  // the function at fault, for the identity; set by Read
}

func newReport(d *Detector, l Line) *Report {
	return &Report{detector: d, lines: []Line{l}, end: l.End, belongs: 1, allCPUs: strings.Contains(l.Message, "LOCKUP on other CPUs")}
}

func (r *Report) start() int64 { return r.lines[0].Start }

// takeOver makes the next line the report's head, and d its detector.
func (r *Report) takeOver(d *Detector) {
	r.prelude, r.detector, r.head = r.detector, d, len(r.lines)
}

func (r *Report) lastLine() *Line { return &r.lines[len(r.lines)-1] }

// stacked reports whether the report has shown a stack. Until then another
// complaint from the same source doesn't end it.
func (r *Report) stacked() bool { return r.frames > 0 }

// owns reports whether the line may belong to this report.
func (r *Report) owns(l *Line) bool {
	return r.lines[0].sameSource(l) || r.allCPUs && l.Stamped && strings.HasPrefix(l.Caller, "C")
}

// add takes the next line of the report's source.
func (r *Report) add(l Line) {
	r.others, r.since = 0, 0
	if l.Caller == "" && containsAny(l.Message, intruders) {
		r.closed = true // another stack follows, and nothing tells the two apart
		return
	}
	if strings.Contains(l.Message, "Sending NMI from CPU") {
		r.allCPUs = true
	}
	if len(r.lines) < maxLines && r.bytes < maxBytes {
		r.lines = append(r.lines, l)
		r.bytes += len(l.Message)
	}
	r.final = r.final || strings.Contains(l.Message, "stack backtrace:")
	ev, isEvent := classify(l.Message)
	if isEvent && (ev.kind == framed || ev.kind == doubtful) {
		r.frames++
	}
	if isEvent || looksReported(l.Message) || len(r.lines) == r.head+1 {
		r.end, r.belongs, r.strange = l.End, len(r.lines), 0
	} else if r.strange++; r.strange > r.patience() {
		r.closed = true
	}
	if strings.HasPrefix(l.Message, "---[ end ") || r.detector.Closes != nil && r.detector.Closes(r, l.Message) {
		r.end, r.belongs = l.End, len(r.lines)
		r.closed = true
	}
}

func (r *Report) patience() int {
	if r.stacked() {
		return strangeAfter
	}
	return strangeBefore
}

// outlived reports whether a line of another source shows that the report is over.
func (r *Report) outlived(l *Line) bool {
	r.others++
	limit := int64(silence)
	if r.allCPUs {
		limit = nmiSilence
	}
	if r.since == 0 {
		r.since = l.Stamp
	}
	late := r.since > 0 && l.Stamp-max(r.since, r.lastLine().Stamp) > limit
	return r.others > foreign || late && r.stacked()
}

// finding reads the report.
func (r *Report) finding() Finding {
	r.lines = r.lines[:r.belongs]
	if r.head >= len(r.lines) { // the line that took over is taken back, or wasn't kept
		r.detector, r.head = r.prelude, 0
	}
	f := Finding{Detector: r.detector.Name, CPU: -1, Start: r.start(), End: r.end}
	r.detector.Read(r, &f)
	r.finish(&f)
	return f
}

// Head returns the message that the complaint begins with.
func (r *Report) Head() string { return r.lines[min(r.head, len(r.lines)-1)].Message }

// Messages returns all messages.
func (r *Report) Messages() []string {
	all := make([]string, len(r.lines))
	for i, l := range r.lines {
		all[i] = l.Message
	}
	return all
}

// Has reports whether a message contains any of the strings.
func (r *Report) Has(subs ...string) bool {
	return slices.ContainsFunc(r.lines, func(l Line) bool { return containsAny(l.Message, subs) })
}

// After returns the first message that contains sub, and the index of its line.
func (r *Report) After(sub string) (message string, line int) {
	for i, l := range r.lines {
		if strings.Contains(l.Message, sub) {
			return l.Message, i
		}
	}
	return "", -1
}

// locks parses the report with package lockdep.
func (r *Report) locks() *lockdep.Report {
	locks, _ := lockdep.Parse(r.Messages())
	return locks
}

// intruders are messages that aren't complaints but come with a stack. Among
// lines without caller ids it would be taken for the complaint's.
var intruders = []string{"FAULT_INJECTION: forcing a failure", "vmalloc: allocation failure", "vmalloc error:", "page allocation failure", "SLUB: Unable to allocate"}

// belonging are beginnings of lines, blanks aside, that are part of a report.
// Stack frames are recognised apart.
var belonging = []string{
	// stacks
	"<", "Call Trace", "Call trace", "Backtrace", "Stack:", "stack backtrace", "...", "Modules linked in", "Code:",
	"Instruction dump", "---", "===", "***",
	// registers: x86, powerpc, arm64
	"RIP", "EIP", "IP:", "RSP", "ESP", "EAX", "ESI", "RAX", "RDX", "RBP", "R08", "R10", "R13", "FS:", "CS:", "DS:", "CR2", "CR0", "DR0", "DR3", "DR6",
	"PKRU", "EFLAGS", "NIP", "LR ", "REGS", "MSR", "CFAR", "CTR", "GPR", "XER", "DAR", "DSISR", "IRQMASK", "SOFTE", "TASK", "SRR", "NUMEXPR",
	"pc :", "lr :", "sp :", "x2", "x1", "x0", "x8", "x5", "pstate", "PC is at", "LR is at", "ESR", "EC =", "SET =", "EA =", "FSC", "Mem abort", "Data abort",
	"ISV", "CM =", "[0", "swapper pgtable", "user pgtable", "Internal error", "ORIG_RAX", "KASAN:", "PGD ", "Oops", "BE ", "LE ", "Faulting instruction",
	// who and where
	"CPU:", "Hardware name", "Workqueue:", "Tainted", "Comm:", "PID:", "task:", "Sched", "Kernel panic", "Kernel Offset", "Rebooting",
	// lockdep
	"irq event stamp", "hardirqs last", "softirqs last", "#", "->", "(", "lock(", "rlock(", "other info", "Possible", "CPU0", "but ", "which ", "and ", "the ",
	"to a ", "Chain exists", "1 lock", "2 locks", "3 locks", "4 locks", "5 locks", "6 locks", "no locks", "{", "May be due", "inconsistent", "stack pointer",
	"Preemption disabled", "preempt_count", "in_atomic", "RCU nest", "rcu", "context-", "INFO: lockdep is turned off", "Showing all locks",
	// memory
	"page", "flags:", "raw:", "The buggy", "Memory state", "Allocated", "Freed", "Read", "Write", "Read of size", "Write of size", ">", "head:", "memcg", "aops",
	"Object", "Redzone", "Padding", "Slab", "FIX", "INFO: ", "list_", "which belongs", "located", "prev=", "next=", "The address", "Last potentially",
	// stalls and hangs
	"Showing ", "workqueue ", "pwq ", "pending:", "in-flight:", "inactive:", "delayed:", "pool ",
	"Sending NMI", "NMI backtrace", "Task dump", "\"echo", "Not tainted", "Blocked by", "watchdog:", "NMI watchdog", "INFO:",
}

// belongingBy sorts belonging by first byte.
var belongingBy = func() (by [256][]string) {
	for _, b := range belonging {
		by[b[0]] = append(by[b[0]], b)
	}
	return by
}()

// looksReported reports whether a message that is no frame is part of a report.
func looksReported(message string) bool {
	m := strings.TrimLeft(message, " \t")
	return m == "" || hasAnyPrefix(m, belongingBy[m[0]]) || strings.Contains(m, " is trying to ")
}
