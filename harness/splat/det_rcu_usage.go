// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

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

// "mm/slub.c:123 suspicious rcu_dereference_check() usage!"
var rcuSiteRE = regexp.MustCompile(`^\s*(\S+\.[chS]):\d+ (.+)`)

func readSuspiciousRCU(r *Report, f *Finding) {
	word := severity(r.Head())
	f.Type = TypeLockdep
	if word == "INFO" {
		f.Type = TypeNone
	}
	f.Locks = r.locks()
	site := ""
	for i := range r.lines {
		if m := rcuSiteRE.FindStringSubmatch(r.lines[i].Message); m != nil {
			site = m[1] + " " + m[2]
			break
		}
	}
	if site == "" {
		f.Title, f.Type, f.Corrupted = heading(r.Head()), TypeWarning, true
		return
	}
	f.Stack = r.backtrace()
	f.in(word+": suspicious RCU usage", f.Stack, "rcu", "kmem", "slab", "malloc", "calloc", "zalloc")
	f.Identity = "suspicious_rcu: " + scrub(site)
	if fn := f.culprit(); fn != "" {
		f.Identity += " in " + fn
	}
}
