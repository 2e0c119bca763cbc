// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"

	"plugstorm/harness/lockdep"
)

// LockRule reads what our own rule checker module prints.
var LockRule = register(&Detector{
	Name: "lockrule",
	Doc: "A locking rule broken, as the rule checker module found by a probe on the function (workloads/kmod). " +
		"Identity: the rule as printed, without addresses and numbers.",
	Anchors: []string{"LOCKRULE:"},
	Begins:  lockRuleRE.MatchString,
	Read: func(r *Report, f *Finding) {
		text := scrub(lockRuleRE.FindStringSubmatch(r.Head())[1])
		f.Type, f.Title = TypeLockRule, "LOCKRULE: "+text
		f.Stack = r.traceStack(0)
		f.Identity = "lockrule: " + text
		if locks, ok := lockdep.ParseWarning(r.Messages(), ""); ok {
			f.Locks = locks
		}
	},
})

var lockRuleRE = regexp.MustCompile(`\bLOCKRULE: *(\S.*)`)
