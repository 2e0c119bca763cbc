// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"strings"
)

// UBSAN reads the undefined behaviour sanitizer's reports.
var UBSAN = register(&Detector{
	Name: "ubsan",
	Doc: "Undefined behaviour found by UBSAN (lib/ubsan.c): shifts, array bounds, overflows. " +
		"Identity: the kind, the function and its two noteworthy callers.",
	Anchors: []string{"UBSAN:"},
	Begins:  ubsanRE.MatchString,
	Closes:  closesRule,
	Read: func(r *Report, f *Finding) {
		kind := strings.ToLower(ubsanRE.FindStringSubmatch(r.Head())[1])
		if strings.HasPrefix(kind, "undefined behaviour") {
			kind = "undefined-behaviour"
		}
		f.Type = TypeUBSAN
		if kind == "array-index-out-of-bounds" {
			f.Type = TypeUBSANBound
		}
		f.Stack = r.traceStack(0)
		f.in("UBSAN: "+kind, f.Stack, "ubsan", "overflow")
		if f.Type == TypeUBSANBound {
			f.also("bad-access")
		}
		f.Corrupted = f.Corrupted || len(f.Stack) == 0
	},
})

// "UBSAN: array-index-out-of-bounds in file.c:1:2", before 5.11 "UBSAN: Undefined behaviour in ...".
var ubsanRE = regexp.MustCompile(`^UBSAN: ([A-Za-z][a-z-]+(?: behaviour)?)\b`)
