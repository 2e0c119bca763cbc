// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"

	"plugstorm/harness/frame"
)

// KMSAN reads the memory sanitizer's reports.
var KMSAN = register(&Detector{
	Name: "kmsan",
	Doc: "Uses of uninitialised memory found by KMSAN (mm/kmsan/report.c). " +
		"Identity: the kind, the function and its two noteworthy callers.",
	Anchors: []string{"BUG: KMSAN"},
	Begins:  matching(`BUG: KMSAN:`),
	Closes:  closesRule,
	Read: func(r *Report, f *Finding) {
		f.Type = "KMSAN-UNKNOWN"
		m := kmsanRE.FindStringSubmatch(r.Head())
		if f.Stack = r.looseFrames(); len(f.Stack) == 0 {
			f.Stack = r.traceStack(0)
		}
		if m == nil {
			f.Title, f.Corrupted = "KMSAN: "+corrupted, true
			return
		}
		switch {
		case m[1] == "uninit-value":
			f.Type = "KMSAN-UNINIT-VALUE"
		case m[1] == "use-after-free":
			f.Type = "KMSAN-USE-AFTER-FREE-READ"
		case infoleakRE.MatchString(m[1]):
			f.Type = "KMSAN-INFO-LEAK"
		}
		f.in("KMSAN: "+m[1], append([]string{m[2]}, f.Stack...))
		f.also("bad-access")
	},
})

var (
	kmsanRE    = regexp.MustCompile(`BUG: KMSAN: ([a-z-]+) in ` + frame.Name + `(?:\+0x|[ /]|$)`)
	infoleakRE = regexp.MustCompile(`^kernel-(?:\w+-)?infoleak(?:-after-free)?$`)
)

// looseFrames returns the frames that stand beneath the heading without
// "Call Trace:", as KMSAN and KFENCE print them.
func (r *Report) looseFrames() []string {
	var frames []string
	for _, e := range r.events() {
		if e.kind == trace || e.kind == located {
			break
		}
		if e.kind == framed {
			frames = append(frames, e.fn)
		}
	}
	return frames
}
