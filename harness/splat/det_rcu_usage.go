// SPDX-License-Identifier: Apache-2.0

package splat

import "strings"

// SuspiciousRCU reads reports about RCU-protected data used without protection.
var SuspiciousRCU = register(&Detector{
	Name: "suspicious_rcu",
	Doc: "RCU-protected data dereferenced without the protection its reader claims (kernel/locking/lockdep.c " +
		"lockdep_rcu_suspicious). lockdep stays on. Identity: the source file, the complaint and the function.",
	Anchors: []string{"suspicious RCU usage"},
	Begins:  matching(`(?:WARNING|INFO): suspicious RCU usage`),
	Closes:  closesBacktrace,
	Read:    readSuspiciousRCU,
})

func readSuspiciousRCU(r *Report, f *Finding) {
	word := severity(r.Head())
	f.Type = TypeLockdep
	if word == "INFO" {
		f.Type = TypeNone
	}
	f.Locks = r.locks()
	if f.Locks == nil || f.Locks.Rule == "" {
		f.Title, f.Type, f.Corrupted = heading(r.Head()), TypeWarning, true
		return
	}
	f.Stack = r.backtrace()
	f.in(word+": suspicious RCU usage", f.Stack, "rcu", "kmem", "slab", "malloc", "calloc", "zalloc")
	file, _, _ := strings.Cut(f.Locks.Where, ":")
	f.Identity = "suspicious_rcu: " + scrub(file+" "+f.Locks.Rule)
	f.Task = f.Locks.Task
	if fn := f.culprit(); fn != "" {
		f.Identity += " in " + fn
	}
}
