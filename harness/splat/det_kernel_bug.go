// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"strings"

	"plugstorm/harness/frame"
)

// KernelBug reads BUG and BUG_ON.
var KernelBug = register(&Detector{
	Name: "kernel_bug",
	Doc: "BUG and BUG_ON (lib/bug.c report_bug; asm-generic/bug.h; die() of mips and riscv). List corruption and bad user copies have titles of their own. " +
		"Identity: the function and its two noteworthy callers.",
	Anchors: []string{"kernel BUG at", "Kernel BUG at", "kernel BUG in", "BUG: failure at", "Kernel bug detected", "Kernel BUG [#"},
	Begins:  kernelBugRE.MatchString,
	Sequel: func(first *Report, message string) bool {
		return first.detector.Name == "rust" || first.detector.Name == "kernel_bug" && strings.Contains(message, "[#")
	},
	Read: readKernelBug,
})

var kernelBugRE = regexp.MustCompile(`[kK]ernel BUG (?:at|in) \S+|^BUG: failure at \S+:\d+/|^Kernel (?:bug detected|BUG) ?\[#\d+\]`)

func readKernelBug(r *Report, f *Finding) {
	f.Type, f.Fatal, f.Blinds = TypeBug, true, true
	s := r.faultStack()
	f.Stack = s.all()
	r.fault = frame.Bare(s.at)
	switch {
	case r.Has("kernel BUG at lib/list_debug.c"):
		f.Type = TypeMemory
		f.in("BUG: corrupted list", f.Stack)
		f.also("bad-access")
	case r.Has("kernel BUG at mm/usercopy.c"):
		f.in("BUG: bad usercopy", f.Stack, "usercopy", "__check")
	default:
		f.in("kernel BUG", f.Stack)
	}
	f.Corrupted = f.Corrupted || !r.traced()
}
