// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"strings"

	"plugstorm/harness/frame"
)

// Fault reads accesses to memory that isn't there.
var Fault = register(&Detector{
	Name: "fault",
	Doc: "A page fault the kernel can't handle: x86 \"BUG: unable to handle page fault\" and \"kernel NULL pointer dereference\", " +
		"powerpc \"BUG: Unable to handle kernel data access\" and \"Kernel attempted to read user page\" (arch/x86/mm/fault.c, arch/powerpc/mm/fault.c), arm64, riscv, s390x, loongarch and mips " +
		"\"Unable to handle kernel ...\" (mm/fault.c of each). Identity: the faulting function and its two noteworthy callers.",
	Anchors: []string{"able to handle kernel", "able to handle page fault", "NULL pointer dereference", "Kernel attempted to ", "able to handle unknown"},
	Begins:  faultRE.MatchString,
	Sequel: func(first *Report, message string) bool {
		// arm prints the reason of an "Unhandled fault" first; powerpc warns of
		// an exploit attempt before the fault proper.
		return first.detector.Name == "trap" && !strings.Contains(message, "BUG:") || attemptRE.MatchString(first.Head()) && len(first.lines) < 4
	},
	Read: readFault,
})

var (
	faultRE    = regexp.MustCompile(`BUG: (?:[Uu]nable to handle|[Kk]ernel NULL pointer)|^(?:CPU \d+ )?Unable to handle kernel |^(?:BUG: )?Kernel attempted to \w+ user page`)
	attemptRE  = regexp.MustCompile(`Kernel attempted to`)
	cutFaultRE = regexp.MustCompile(`BUG: [Uu]nable to handle kernel *$`)
	nullRE     = regexp.MustCompile(`NULL pointer dereference`)
	// An access beneath the first page is a NULL pointer with an offset.
	userPageRE = regexp.MustCompile(`Kernel attempted to \w+ user page \(([0-9a-f]+)\)`)
)

func readFault(r *Report, f *Finding) {
	f.Fatal, f.Blinds = true, true
	s := r.faultStack()
	f.Stack, f.Access = s.all(), r.access()
	r.fault = frame.Bare(s.at)
	prefix := "BUG: unable to handle kernel paging request"
	f.Type = TypeMemory
	if nullRE.MatchString(r.Head()) || r.Has("BUG: Kernel NULL pointer dereference") {
		prefix = "BUG: unable to handle kernel NULL pointer dereference"
		f.Type = TypeNull
	} else if m := userPageRE.FindStringSubmatch(r.Head()); m != nil && len(strings.TrimLeft(m[1], "0")) <= 3 {
		prefix, f.Type = "BUG: unable to handle kernel NULL pointer dereference", TypeNull
	}
	if strings.Contains(r.Head(), "access to user memory") { // arm64, riscv
		prefix = "BUG: unable to handle kernel access to user memory"
	}
	f.in(prefix, f.Stack)
	f.also("bad-access")
	if cutFaultRE.MatchString(r.Head()) { // the rest is a printk of its own, and lost
		f.Title, f.Type, f.Corrupted = "BUG: unable to handle kernel", TypeNone, true
	}
	f.Corrupted = f.Corrupted || !r.traced()
}
