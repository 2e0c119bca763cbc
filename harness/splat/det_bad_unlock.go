// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"strings"

	"plugstorm/harness/lockdep"
)

// BadUnlock reads reports about unlocking what isn't locked.
var BadUnlock = register(&Detector{
	Name: "bad_unlock",
	Doc: "A lock released, or waited for, that nobody holds (kernel/locking/lockdep.c print_unlock_imbalance_bug, " +
		"print_lock_contention_bug). " +
		"Identity: the lock class and the releasing function.",
	Anchors: []string{"bad unlock balance", "bad contention detected"},
	Begins:  matching(`(?:WARNING|BUG): bad (?:unlock balance|contention) detected!`),
	Closes:  closesBacktrace,
	Read: func(r *Report, f *Finding) {
		f.Type, f.Blinds = TypeLockdep, true
		f.Locks = r.locks()
		f.Stack = r.backtrace()
		var at []string
		if _, i := r.After(" lock ("); i >= 0 {
			for _, e := range r.events() {
				if e.line > i && e.kind == framed {
					at = append(at, e.fn)
				}
			}
		}
		what := ": bad unlock balance"
		if f.Locks != nil && f.Locks.Kind == lockdep.BadContention {
			what = ": bad contention"
		}
		f.in(severity(r.Head())+what, at)
		f.lockIdentity()
		if fn := f.culprit(); fn != "" {
			f.Identity += " by " + fn
		}
		f.Corrupted = f.Corrupted || len(f.Stack) == 0
	},
})

// severity returns the word that a lockdep heading begins with: it was "BUG"
// or "INFO" before 4.13 and is "WARNING" since.
func severity(head string) string {
	for _, word := range []string{"BUG", "INFO"} {
		if strings.Contains(head, word+":") {
			return word
		}
	}
	return "WARNING"
}
