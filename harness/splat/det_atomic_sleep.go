// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// AtomicSleep reads reports about sleeping where one can't.
var AtomicSleep = register(&Detector{
	Name: "atomic_sleep",
	Doc: "A function that may sleep called from atomic context, the scheduler entered in it, or a function that wants atomic context called " +
		"outside of it (kernel/sched/core.c __might_resched, __schedule_bug, schedule_debug, __cant_sleep, __cant_migrate). Identity: the function that called it and its two noteworthy callers.",
	Anchors: []string{"sleeping function called", "scheduling while atomic", "BUG: scheduling in a non-blocking section", "BUG: assuming "},
	Begins:  atomicRE.MatchString,
	Closes:  closesTask,
	Read: func(r *Report, f *Finding) {
		f.Type = TypeAtomic
		_, from := r.After("Call ") // the stack where preemption was disabled stands before it
		f.Stack = r.traceStack(max(from, 0))
		f.in("BUG: "+atomicRE.FindStringSubmatch(r.Head())[1], f.Stack, "schedule")
		f.Corrupted = f.Corrupted || len(f.Stack) == 0
	},
})

var atomicRE = regexp.MustCompile(`BUG: (sleeping function called from invalid context|scheduling while atomic|scheduling in a non-blocking section|assuming atomic context|assuming non migratable context)`)

// closesTask reports the line that ends an x86 stack of a task (since 5.16).
func closesTask(r *Report, message string) bool { return r.stacked() && message == " </TASK>" }
