// SPDX-License-Identifier: Apache-2.0

package splat

// LockKey reads lockdep's complaints about locks that were never initialised.
var LockKey = register(&Detector{
	Name: "lock_key",
	Doc: "A lock used before it was initialised, or living in memory that isn't static (kernel/locking/lockdep.c " +
		"assign_lock_key). Identity: the function that used the lock, and its callers.",
	Anchors: []string{"non-static key"},
	Begins:  matching(`INFO: trying to register non-static key`),
	Read: func(r *Report, f *Finding) {
		f.Type, f.Blinds = TypeNone, true
		f.Stack = r.traceStack(0)
		f.in("INFO: trying to register non-static key", f.Stack, "lock", "stack")
		f.Corrupted = f.Corrupted || len(f.Stack) == 0
	},
})
