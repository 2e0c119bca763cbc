// SPDX-License-Identifier: Apache-2.0

package splat

// LockFreed reads reports about freeing memory with a held lock in it.
var LockFreed = register(&Detector{
	Name: "lock_freed",
	Doc: "Memory freed while a lock inside it is held (kernel/locking/lockdep.c print_freed_lock_bug). " +
		"Identity: the lock class.",
	Anchors: []string{"held lock freed"},
	Begins:  matching(`(?:WARNING|BUG): held lock freed!`),
	Closes:  closesBacktrace,
	Read: func(r *Report, f *Finding) {
		f.Type, f.Blinds = TypeLockdep, true
		f.Locks = r.locks()
		f.Stack = r.backtrace()
		f.in(severity(r.Head())+": held lock freed", acquired(f))
		f.lockIdentity()
		f.Corrupted = f.Corrupted || len(f.Stack) == 0
	},
})
