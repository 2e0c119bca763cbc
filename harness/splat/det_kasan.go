// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"

	"plugstorm/harness/frame"
)

// KASAN reads the address sanitizer's reports.
var KASAN = register(&Detector{
	Name: "kasan",
	Doc: "Invalid memory accesses found by KASAN (mm/kasan/report.c). " +
		"Identity: the kind of access, the function and its two noteworthy callers.",
	Anchors: []string{"BUG: KASAN", "BUG: KASan"},
	Begins:  matching(`BUG: KAS(?:AN|an):`),
	Closes:  closesRule,
	Read:    readKASAN,
})

// closesRule reports the line of "=" that ends a sanitizer's report.
func closesRule(_ *Report, message string) bool { return ruleRE.MatchString(message) }

var (
	ruleRE = regexp.MustCompile(`^={40,}$`)
	// 4.0 to 4.3 spelled it KASan, and the kinds with blanks: "out of bounds on stack".
	kasanRE     = regexp.MustCompile(`BUG: KAS(?:AN|an): ([a-z][a-z -]*?) in ` + frame.Name + `(?:\+0x|[ /]|$)`)
	kasanOnRE   = regexp.MustCompile(`BUG: KAS(?:AN|an): ([a-z -]+) on address`)
	accessRE    = regexp.MustCompile(`\b(Read|Write) (?:of size \d+|at addr )`)
	kasanTextRE = regexp.MustCompile(`BUG: KAS(?:AN|an): ?(.*)`)
	freeKindRE  = regexp.MustCompile(`^(?:double-free or )?invalid-free$|^double-free$`)
)

func readKASAN(r *Report, f *Finding) {
	f.Blinds = true
	access := ""
	for i := range r.lines {
		if m := accessRE.FindStringSubmatch(r.lines[i].Message); m != nil {
			access = m[1]
			break
		}
	}
	m := kasanRE.FindStringSubmatch(r.Head())
	f.Stack = r.traceStack(0)
	switch {
	case m != nil && freeKindRE.MatchString(m[1]):
		f.Type = "KASAN-INVALID-FREE"
		f.in("KASAN: invalid-free", append([]string{m[2]}, f.Stack...), "kmem_", "slab_", "kfree", "vunmap", "vfree")
		f.also("invalid-free")
	case m != nil && access != "":
		f.Type = kasanType(m[1], access)
		f.in("KASAN: "+m[1]+" "+access, append([]string{m[2]}, f.Stack...))
		f.also("bad-access")
	case kasanOnRE.MatchString(r.Head()) && access != "":
		kind := kasanOnRE.FindStringSubmatch(r.Head())[1]
		f.Type = kasanType(kind, access)
		f.Title, f.Corrupted = "KASAN: "+kind+" "+access, true
	default:
		f.Type = kasanType("", "Read")
		if m != nil {
			f.Type = kasanType(m[1], "Read")
		}
		f.Title, f.Corrupted = "KASAN: "+scrub(offsetRE.ReplaceAllString(kasanTextRE.FindStringSubmatch(r.Head())[1], "")), true
	}
	f.Corrupted = f.Corrupted || !r.traced()
}

// kasanType names the class of an access; what says neither is at least a read.
func kasanType(kind, access string) string {
	suffix := "-READ"
	if access == "Write" {
		suffix = "-WRITE"
	}
	switch kind {
	case "use-after-free", "slab-use-after-free", "use after free":
		return "KASAN-USE-AFTER-FREE" + suffix
	case "null-ptr-deref":
		return "KASAN-NULL-POINTER-DEREFERENCE" + suffix
	}
	return "KASAN" + suffix
}

var offsetRE = regexp.MustCompile(`\+0x[0-9a-f]+/0x[0-9a-f]+`)
