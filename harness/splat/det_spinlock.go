// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// Spinlock reads the spinlock debugging code's complaints.
var Spinlock = register(&Detector{
	Name: "spinlock",
	Doc: "A spinlock or rwlock in an impossible state (kernel/locking/spinlock_debug.c). " +
		"Identity: what is wrong, and the functions around it.",
	Anchors: []string{"BUG: spinlock", "BUG: rwlock", "BUG: rwsem"},
	Begins:  spinlockRE.MatchString,
	Read: func(r *Report, f *Finding) {
		m := spinlockRE.FindStringSubmatch(r.Head())
		f.Type, f.Blinds = TypeLockdep, true
		f.Stack = r.traceStack(0)
		f.in("BUG: "+m[1], f.Stack, "spin_", "rwlock_")
		f.Corrupted = f.Corrupted || len(f.Stack) == 0
	},
})

var spinlockRE = regexp.MustCompile(`BUG: ((?:spinlock|rwlock|rwsem)(?:-writer)? (?:[a-z]+ )*?(?:lockup suspected|lockup|already unlocked|recursion|bad magic|wrong owner|wrong CPU|cpu recursion))\b`)
