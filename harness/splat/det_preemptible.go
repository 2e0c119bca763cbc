// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// Preemptible reads reports about per-CPU data used where the CPU may change.
var Preemptible = register(&Detector{
	Name: "preemptible",
	Doc: "smp_processor_id() or a per-CPU access in preemptible code (lib/smp_processor_id.c). " +
		"Identity: the function and its callers.",
	Anchors: []string{"in preemptible"},
	Begins:  preemptibleRE.MatchString,
	Read: func(r *Report, f *Finding) {
		m := preemptibleRE.FindStringSubmatch(r.Head())
		f.Type = TypeLockdep
		f.Stack = r.traceStack(0)
		f.in("BUG: using "+m[1]+"() in preemptible code", f.Stack, "preempt", "debug_", "processor_id", "this_cpu")
		f.Corrupted = f.Corrupted || len(f.Stack) == 0
	},
})

var preemptibleRE = regexp.MustCompile(`BUG: using (\w+)\(\) in preemptible`)
