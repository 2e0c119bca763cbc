// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"

	"plugstorm/harness/frame"
)

// KFENCE reads the electric fence's reports.
var KFENCE = register(&Detector{
	Name: "kfence",
	Doc: "Invalid accesses to the slab objects that KFENCE watches (mm/kfence/report.c). " +
		"Identity: the kind, the function and its two noteworthy callers.",
	Anchors: []string{"BUG: KFENCE"},
	Begins:  matching(`BUG: KFENCE:`),
	Closes:  closesRule,
	Read: func(r *Report, f *Finding) {
		f.Stack = r.looseFrames()
		m := kfenceRE.FindStringSubmatch(r.Head())
		if m == nil {
			f.Type, f.Title, f.Corrupted = "KFENCE-UNKNOWN", "KFENCE: "+corrupted, true
			return
		}
		k, known := kfenceKinds[m[1]]
		if !known {
			k = kfenceKind{"KFENCE-UNKNOWN", "bad-access"}
		}
		f.Type = k.typ
		f.in("KFENCE: "+m[1], append([]string{m[2]}, f.Stack...))
		if k.family != "" {
			f.also(k.family)
		}
	},
})

var kfenceRE = regexp.MustCompile(`BUG: KFENCE: ([a-z -]+?) in ` + frame.Name + `(?:\+0x|[ /]|$)`)

type kfenceKind struct{ typ, family string }

var kfenceKinds = map[string]kfenceKind{
	"use-after-free read":  {"KFENCE-USE-AFTER-FREE-READ", "bad-access"},
	"use-after-free write": {"KFENCE-USE-AFTER-FREE-WRITE", "bad-access"},
	"use-after-free":       {"KFENCE-USE-AFTER-FREE-READ", "bad-access"},
	"out-of-bounds read":   {"KFENCE-READ", "bad-access"},
	"out-of-bounds write":  {"KFENCE-WRITE", "bad-access"},
	"out-of-bounds":        {"KFENCE-READ", "bad-access"},
	"invalid read":         {"KFENCE-READ", "bad-access"},
	"invalid write":        {"KFENCE-WRITE", "bad-access"},
	"invalid free":         {"KFENCE-INVALID-FREE", "invalid-free"},
	"memory corruption":    {"KFENCE-MEMORY-CORRUPTION", ""},
}
