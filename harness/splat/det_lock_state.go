// SPDX-License-Identifier: Apache-2.0

package splat

// InconsistentLockState reads reports about a lock used in two irq states.
var InconsistentLockState = register(&Detector{
	Name: "inconsistent_lock_state",
	Doc: "A lock taken both in an interrupt and with that interrupt enabled (kernel/locking/lockdep.c print_usage_bug). " +
		"Identity: the lock class and the two states.",
	Anchors: []string{"inconsistent lock state"},
	Begins:  matching(`(?:WARNING|INFO): inconsistent lock state`),
	Closes:  closesBacktrace,
	Read: func(r *Report, f *Finding) {
		f.Type, f.Blinds = TypeLockdep, true
		f.Locks = r.locks()
		f.Stack = r.backtrace()
		f.in("inconsistent lock state", acquired(f))
		f.lockIdentity()
		f.Corrupted = f.Corrupted || len(f.Stack) == 0
	},
})

// acquired returns the function that took the lock complained about, and the
// stack behind it.
func acquired(f *Finding) []string {
	if f.Locks == nil || f.Locks.Tried == nil || f.Locks.Tried.At == "" {
		return nil
	}
	return append([]string{f.Locks.Tried.At}, f.Stack...)
}

// lockIdentity names the finding by its lock classes, if it shows any.
func (f *Finding) lockIdentity() {
	if f.Locks == nil {
		return
	}
	f.Task = f.Locks.Task
	if len(f.Locks.Classes) > 0 || len(f.Locks.Edges) > 0 {
		f.Identity = "lockdep: " + f.Locks.Signature()
	}
}
