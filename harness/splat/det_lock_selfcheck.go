// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"strings"

	"plugstorm/harness/lockdep"
)

// LockSelfCheck reads the condition that a failed check of the lock code
// prints ahead of its warning.
var LockSelfCheck = register(&Detector{
	Name: "lock_selfcheck",
	Doc: "A consistency check of the lock code (include/linux/debug_locks.h DEBUG_LOCKS_WARN_ON), where the WARNING that it announces is lost; " +
		"otherwise that one's detector reads it. lockdep goes off. Identity: the condition.",
	Anchors: []string{"DEBUG_LOCKS_WARN_ON("},
	Prelude: true,
	Begins:  selfCheckRE.MatchString,
	// Some kernels print the condition below the warning instead.
	Sequel: func(first *Report, _ string) bool { return !first.stacked() },
	Read: func(r *Report, f *Finding) {
		f.Type, f.Blinds, f.Corrupted = TypeWarning, true, true
		f.Title = selfCheckRE.FindString(r.Head())
		f.Stack = r.traceStack(0)
		f.Locks, _ = lockdep.ParseWarning(r.Messages(), "")
		f.Identity = "lock_selfcheck: " + f.Title
	},
})

var selfCheckRE = regexp.MustCompile(`^DEBUG_LOCKS_WARN_ON\(.*\)`)

// afterLockNotice reports whether a warning of lockdep's only repeats, with a
// stack, the notice that opened the report.
func afterLockNotice(first *Report, message string) bool {
	notice := first.detector.Name == LostSight.Name || first.detector.Name == LockKey.Name
	return notice && !first.stacked() && strings.Contains(message, "kernel/locking/lockdep.c:")
}

// lockRule reads what a warning says about locks: an assertion of lockdep's, or
// a self-check, which switches lockdep off.
func (r *Report) lockRule(f *Finding, function string) {
	if !strings.HasPrefix(strings.TrimLeft(function, "_"), "lockdep_") && !r.Has("DEBUG_LOCKS_WARN_ON(", "RTNL: assertion failed", "is_held") {
		return
	}
	locks, ok := lockdep.ParseWarning(r.Messages(), function)
	if !ok {
		return
	}
	f.Locks = locks
	f.Blinds = f.Blinds || locks.Kind == lockdep.SelfCheck
}
