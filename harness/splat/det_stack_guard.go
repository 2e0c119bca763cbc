// SPDX-License-Identifier: Apache-2.0

package splat

import "plugstorm/harness/frame"

// StackGuard reads kernel stack overflows.
var StackGuard = register(&Detector{
	Name: "stack_guard",
	Doc: "A kernel stack that overflowed into its guard page (arch/x86/kernel/traps.c handle_stack_overflow). " +
		"Identity: the function and its callers.",
	Anchors: []string{"stack guard page was hit"},
	Begins:  matching(`stack guard page was hit`),
	Read: func(r *Report, f *Finding) {
		f.Type, f.Fatal, f.Blinds = TypeNone, true, true
		s := r.faultStack()
		f.Stack = s.all()
		r.fault = frame.Bare(s.at)
		r.stalledIn(f, "BUG: stack guard page was hit", s.frames)
		f.Identity = ""
		f.stackOverflow()
	},
})
