// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// SoftLockup reads reports about CPUs that don't schedule.
var SoftLockup = register(&Detector{
	Name: "soft_lockup",
	Doc: "A CPU that hasn't scheduled for 2*watchdog_thresh seconds (kernel/watchdog.c watchdog_timer_fn). " +
		"Identity: the function through which the CPU got where it loops, see dispatchers; of a task in a cycle of waits, that cycle (Explain).",
	Anchors: []string{"soft lockup"},
	Begins:  matching(`BUG: soft lockup - CPU#\d+`),
	Read: func(r *Report, f *Finding) {
		f.Type, f.Fatal = TypeHang, true
		if m := stuckRE.FindStringSubmatch(r.Head()); m != nil {
			f.Task = slashed(m[1])
		}
		s := r.faultStack()
		f.Stack = s.all()
		r.stalledIn(f, "BUG: soft lockup", f.Stack)
	},
})

var stuckRE = regexp.MustCompile(`\[(.+:\d+)\]\s*$`)
