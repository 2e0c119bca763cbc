// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// LostSight reads lockdep's notices that it switched itself off.
var LostSight = register(&Detector{
	Name: "lost_sight",
	Doc: "lockdep ran out of one of its tables and switched itself off (kernel/locking/lockdep.c print_lockdep_off). " +
		"No defect of the kernel: raise LOCKDEP_BITS, LOCKDEP_CHAINS_BITS or LOCKDEP_STACK_TRACE_BITS. Identity: the table.",
	Anchors: []string{"BUG: MAX_"},
	Begins:  matching(`BUG: MAX_\w+ too low!`),
	Read: func(r *Report, f *Finding) {
		f.Title = lostRE.FindString(r.Head())
		f.Type, f.Blinds = TypeLostSight, true
		f.Stack = r.traceStack(0)
		f.Identity = "lost_sight: " + f.Title
	},
})

var lostRE = regexp.MustCompile(`BUG: MAX_\w+ too low!`)
