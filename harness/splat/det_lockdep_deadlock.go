// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"strings"
)

// LockdepDeadlock reads lockdep's deadlock predictions.
var LockdepDeadlock = register(&Detector{
	Name: "lockdep_deadlock",
	Doc: "Deadlocks that lockdep predicts: circular dependency, recursive locking, irq lock inversion, X-safe -> X-unsafe order " +
		"(kernel/locking/lockdep.c). Identity: the kind and the sorted set of lock-class edges of the cycle, of a recursion also the " +
		"function that acquires the lock again; neither tasks nor stacks (lockdep.Report.Signature).",
	Anchors: []string{"possible circular locking", "possible recursive locking", "possible irq lock inversion", "-safe -> "},
	Begins:  matching(`(?:WARNING|INFO): (?:possible (?:circular locking dependency|recursive locking|irq lock inversion dependency) detecte|[A-Za-z_-]+-safe -> [A-Za-z_-]+-unsafe lock order detecte)`),
	Closes:  closesBacktrace,
	Read:    readDeadlock,
})

// matching makes a Begins from a regular expression.
func matching(re string) func(string) bool { return regexp.MustCompile(re).MatchString }

func readDeadlock(r *Report, f *Finding) {
	f.Type, f.Blinds = TypeLockdep, true
	f.Locks = r.locks()
	if f.Locks == nil || f.Locks.Tried == nil || f.Locks.Tried.At == "" {
		f.Title = heading(r.Head())
		f.Type, f.Corrupted = TypeWarning, true
		return
	}
	// The acquisition, then the lock held, then the stack: a workqueue's own
	// functions take the locks that stand for work items, and mean their caller.
	frames := []string{f.Locks.Tried.At}
	if f.Locks.Holding != nil && f.Locks.Kind == "circular" {
		frames = append(frames, f.Locks.Holding.At)
	}
	f.Stack = r.backtrace()
	if _, i := r.After("irq-safe at:"); i > 0 {
		frames = append(r.plainStack(i), frames...) // what the interrupt does is the rarer half
	}
	f.in("possible deadlock", append(frames, f.Stack...), "process_one_work")
	f.Task = f.Locks.Task
	f.Identity = "lockdep: " + f.Locks.Signature()
	f.Corrupted = f.Corrupted || len(f.Stack) == 0
}

// plainStack returns the frames that directly follow line from, without heading.
func (r *Report) plainStack(from int) []string {
	var frames []string
	next := from + 1
	for _, e := range r.events() {
		if e.line == next && e.kind == framed {
			frames = append(frames, e.fn)
			next++
		}
	}
	return frames
}

// closesBacktrace reports the end of lockdep's final stack, which x86 marks.
func closesBacktrace(r *Report, message string) bool { return r.final && message == " </TASK>" }

// heading cuts the frame that older kernels draw around a report's name.
func heading(message string) string {
	return strings.Trim(message, "[] ")
}

// backtrace returns lockdep's final stack: that of the task that complained.
func (r *Report) backtrace() []string {
	_, from := r.After("stack backtrace:")
	if from < 0 {
		from = 0
	}
	return r.traceStack(from)
}
