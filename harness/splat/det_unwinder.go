// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// Unwinder reads the stack unwinder's complaints.
var Unwinder = register(&Detector{
	Name: "unwinder",
	Doc: "A stack that the x86 frame pointer unwinder can't walk (arch/x86/kernel/unwind_frame.c). " +
		"Identity: only what is wrong with it.",
	Anchors: []string{"WARNING: kernel stack "},
	Begins:  unwinderRE.MatchString,
	Read: func(r *Report, f *Finding) {
		m := unwinderRE.FindStringSubmatch(r.Head())
		switch {
		case m[1] == "regs" && m[2] != "":
			f.Title = "WARNING: kernel stack regs has bad '" + m[3] + "' value"
		case m[1] == "frame pointer" && m[2] != "":
			f.Title = "WARNING: kernel stack frame pointer has bad value"
		default: // the address is hidden
			f.Title = "WARNING: kernel stack regs has bad value"
		}
		f.Type, f.Stack = TypeNone, r.traceStack(0)
		f.Identity = "unwinder: " + f.Title
	},
})

var unwinderRE = regexp.MustCompile(`WARNING: kernel stack (regs|frame pointer) at(?: +\(\w+\)|( [0-9a-f]+)) in \S+ has bad (?:'([^']+)' )?value`)
