// SPDX-License-Identifier: Apache-2.0

package splat

import "strings"

// LocksHeld reads reports about tasks that end or return with locks held.
var LocksHeld = register(&Detector{
	Name: "locks_held",
	Doc: "A task that exits, freezes or returns to user space with a lock held (kernel/locking/lockdep.c " +
		"print_held_locks_bug, lockdep_sys_exit). Identity: the classes of the locks held.",
	Anchors: []string{"still has locks held", "lock held when returning", "lock held at task exit"},
	Begins:  matching(`(?:WARNING|BUG): (?:.* still has locks held!|lock held when returning to user space!|lock held at task exit)`),
	Closes:  closesBacktrace,
	Read: func(r *Report, f *Finding) {
		f.Type, f.Blinds = TypeLockdep, true
		f.Locks = r.locks()
		f.Stack = r.backtrace()
		what := "still has locks held"
		if strings.Contains(r.Head(), "returning to user space") {
			what = "lock held when returning to user space"
			if severity(r.Head()) == "BUG" {
				f.Type = TypeNone
			}
		} else {
			f.Corrupted = len(f.Stack) == 0
		}
		var at []string
		if f.Locks != nil {
			for _, l := range f.Locks.Held {
				if l.At != "" {
					at = append(at, l.At)
				}
			}
		}
		f.in(severity(r.Head())+": "+what, at)
		f.lockIdentity()
	},
})
