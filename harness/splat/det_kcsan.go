// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"slices"
	"strings"

	"plugstorm/harness/frame"
)

// KCSAN reads the concurrency sanitizer's reports.
var KCSAN = register(&Detector{
	Name: "kcsan",
	Doc: "Data races found by KCSAN (kernel/kcsan/report.c). " +
		"Identity: the sorted pair of functions that race.",
	Anchors: []string{"BUG: KCSAN"},
	Begins:  matching(`BUG: KCSAN:`),
	Closes:  closesRule,
	Read: func(r *Report, f *Finding) {
		f.Type = TypeDataRace
		f.Stack = r.looseFrames()
		m := kcsanRE.FindStringSubmatch(r.Head())
		if m == nil {
			f.Title, f.Corrupted = "KCSAN: "+corrupted, true
			return
		}
		if strings.HasPrefix(m[1], "assert") {
			f.Type = TypeRaceAssert
		}
		sides := strings.Split(m[2], " / ")
		for i := range sides {
			sides[i] = frame.Bare(strings.TrimSpace(offsetRE.ReplaceAllString(sides[i], "")))
		}
		slices.Sort(sides)
		sides = slices.Compact(sides)
		f.Title = "KCSAN: " + m[1] + " in " + strings.Join(sides, " / ")
		f.Identity = "kcsan: " + m[1] + ": " + strings.Join(sides, " / ")
	},
})

var kcsanRE = regexp.MustCompile(`BUG: KCSAN: ([a-z-]+(?:: race)?) in (.+)`)
