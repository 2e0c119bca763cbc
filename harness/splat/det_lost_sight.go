// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// LostSight reads lockdep's notices that it switched itself off.
var LostSight = register(&Detector{
	Name: "lost_sight",
	Doc: "lockdep ran out of one of its tables and switched itself off (kernel/locking/lockdep.c print_lockdep_off). " +
		"No defect of the kernel: raise LOCKDEP_BITS, LOCKDEP_CHAINS_BITS, LOCKDEP_STACK_TRACE_BITS or LOCKDEP_CIRCULAR_QUEUE_BITS; only MAX_LOCK_DEPTH " +
		"can mean that a task piles locks up. \"INFO: lockdep is turned off.\" is none: it repeats what was found before. Identity: the table.",
	Anchors: []string{"BUG: MAX_", "turning off the locking correctness validator", "Increase LOCKDEP_CIRCULAR_QUEUE_BITS"},
	Begins:  lostRE.MatchString,
	Sequel: func(first *Report, message string) bool {
		return !first.stacked() && !tableRE.MatchString(message)
	},
	Read: func(r *Report, f *Finding) {
		f.Title = lostRE.FindString(r.Head())
		f.Type, f.Blinds = TypeLostSight, true
		f.Stack = r.traceStack(0)
		f.Identity = "lost_sight: " + f.Title
	},
})

var (
	tableRE = regexp.MustCompile(`BUG: MAX_\w+ too low!`)
	lostRE  = regexp.MustCompile(tableRE.String() + `|turning off the locking correctness validator|Increase LOCKDEP_CIRCULAR_QUEUE_BITS`)
)
