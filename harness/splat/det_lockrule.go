// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"strings"

	"plugstorm/harness/lockdep"
)

// LockRule reads what our own rule checker module prints.
var LockRule = register(&Detector{
	Name: "lockrule",
	Doc: "A locking rule broken, as the rule checker module found by a probe on the function (workloads/kmod). " +
		"Identity: the rule as printed, without addresses and numbers; where a lock is forbidden, with who called the function, " +
		"since it is this caller that takes two locks in the wrong order. Where a lock is missing it may be any caller's caller's.",
	Anchors: []string{"LOCKRULE:"},
	Begins:  lockRuleRE.MatchString,
	Read: func(r *Report, f *Finding) {
		text := scrub(lockRuleRE.FindStringSubmatch(r.Head())[1])
		f.Type, f.Title = TypeLockRule, "LOCKRULE: "+text
		f.Stack = r.traceStack(0)
		f.Identity = "lockrule: " + text
		if strings.Contains(text, " forbidden, ") && len(f.Stack) > 1 {
			f.Identity += " in " + f.Stack[1]
		}
		if locks, ok := lockdep.ParseWarning(r.Messages(), ""); ok {
			f.Locks = locks
		}
	},
})

var lockRuleRE = regexp.MustCompile(`\bLOCKRULE: *(\S.*)`)
