// SPDX-License-Identifier: Apache-2.0

package splat

// WaitContext reads reports about sleeping locks taken where one can't sleep.
var WaitContext = register(&Detector{
	Name: "invalid_wait_context",
	Doc: "A lock taken inside one of a stricter wait type, such as a mutex inside a raw spinlock, or a lock without " +
		"its nest lock (kernel/locking/lockdep.c print_lock_invalid_wait_context, print_lock_nested_lock_not_held). Identity: the lock classes.",
	Anchors: []string{"nvalid wait context", "ested lock was not taken"},
	Begins:  matching(`BUG: Invalid wait context|WARNING: Nested lock was not taken`),
	Closes:  closesBacktrace,
	Read: func(r *Report, f *Finding) {
		f.Type, f.Blinds = TypeLockdep, true
		f.Locks = r.locks()
		f.Stack = r.backtrace()
		if f.Locks != nil && f.Locks.Kind == "nest-not-taken" {
			f.in("WARNING: nested lock was not taken", acquired(f))
		} else {
			f.in("WARNING: locking bug", acquired(f), "lock_sock", "release_sock")
			f.also("BUG: Invalid wait context")
		}
		f.lockIdentity()
		f.Corrupted = f.Corrupted || len(f.Stack) == 0
	},
})
