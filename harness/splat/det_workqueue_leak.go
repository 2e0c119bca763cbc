// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"

	"plugstorm/harness/frame"
)

// WorkqueueLeak reads reports about work functions that return in a bad state.
var WorkqueueLeak = register(&Detector{
	Name: "workqueue_leak",
	Doc: "A work function that returned with a lock held, preemption off or inside RCU (kernel/workqueue.c " +
		"process_one_work). Identity: the work function.",
	Anchors: []string{"workqueue leaked"},
	Begins:  matching(`BUG: workqueue leaked`),
	Read:    readWorkqueueLeak,
})

var lastFunctionRE = regexp.MustCompile(`(?:last function: |workfn=)([\w.]+)`)

func readWorkqueueLeak(r *Report, f *Finding) {
	what := leakRE.FindString(r.Head())
	f.Locks = r.locks()
	f.Stack = r.traceStack(0)
	fn := corrupted
	for i := range r.lines {
		if m := lastFunctionRE.FindStringSubmatch(r.lines[i].Message); m != nil {
			fn = frame.Bare(m[1])
			break
		}
	}
	f.Corrupted = fn == corrupted
	f.Title = what + " in " + fn
	f.Identity = "workqueue_leak: " + fn
}

// 6.7 and later also name RCU ("leaked atomic, lock or RCU").
var leakRE = regexp.MustCompile(`BUG: workqueue leaked [a-zA-Z, ]*\b(?:atomic|RCU|lock)\b`)
