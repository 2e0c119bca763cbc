// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"strings"

	"plugstorm/harness/frame"
)

// Trap reads CPU exceptions other than page faults.
var Trap = register(&Detector{
	Name: "trap",
	Doc: "CPU exceptions: general protection fault, divide error, invalid opcode, stack segment, double fault, alignment, " +
		"machine check, and powerpc's \"Oops: Kernel access of bad area\" where nothing was said before it. Identity: the faulting function and its two noteworthy callers.",
	Anchors: []string{"general protection", "divide error", "divide_error", "invalid opcode", "stack segment", "double fault", "Internal error:", "Unhandled fault",
		"Alignment trap", "Oops: ", "Machine check in kernel mode", ": 0000 [#", " ilc:", "Oops [#", "Oops[#", "Oops - "},
	Begins: func(message string) bool { return trapOf(message) != nil },
	Sequel: func(first *Report, message string) bool {
		return first.detector.Name != "panic" && trapIsSequel(message)
	},
	Read: readTrap,
})

// A trapKind is one exception.
type trapKind struct {
	re     *regexp.Regexp
	title  string
	family string
	sequel bool // it ends what another line has begun
}

var trapKinds = []trapKind{
	// arch/x86/kernel/dumpstack.c __die_header: "%s: %04lx [#%d]". The code and
	// counter tell it from what the kernel says about user programs.
	{regexp.MustCompile(`general protection fault.*: [0-9a-f]{4} \[#\d+\]`), "general protection fault", "bad-access", false},
	{regexp.MustCompile(`divide.error: [0-9a-f]{4} \[#\d+\]`), "divide error", "", false},
	{regexp.MustCompile(`stack segment: [0-9a-f]{4} \[#\d+\]`), "stack segment fault", "bad-access", false},
	{regexp.MustCompile(`PANIC: double fault`), "PANIC: double fault", "", false},
	{regexp.MustCompile(`invalid opcode: [0-9a-f]{4} \[#\d+\]`), "invalid opcode", "", true},
	{regexp.MustCompile(`^Alignment trap: `), "Alignment trap", "", false},
	{regexp.MustCompile(`^Unhandled fault: `), "Unhandled fault", "bad-access", false},
	{regexp.MustCompile(`^Internal error:`), "Internal error", "bad-access", true},
	{regexp.MustCompile(`Oops: Machine check|Machine check in kernel mode`), "machine check", "", false},
	{regexp.MustCompile(`^Oops: .*sig: \d+ \[#\d+\]|^Oops: (?:Oops: )?[0-9a-f]{4} `), "Oops", "bad-access", true},
	{regexp.MustCompile(`^Oops(?: - [\w ()]+)? ?\[#\d+\]`), "Oops", "bad-access", true}, // riscv, mips, loongarch
	{dieRE, "", "", true},
	{regexp.MustCompile(`^Oops: `), "Oops", "bad-access", true},
}

// dieRE matches what die() prints for the rarer exceptions of x86 and s390, by
// their name: "int3: 0000 [#1] SMP", on x86 since 6.10 with "Oops: " before it;
// "specification exception: 0006 ilc:3 [#1] SMP".
var dieRE = regexp.MustCompile(`^(?:Oops: )?([a-z][a-z0-9 ]*[a-z0-9]): [0-9a-f]{4} (?:ilc:\d )?\[#\d+\]`)

func trapOf(message string) *trapKind {
	for i := range trapKinds {
		if trapKinds[i].re.MatchString(message) {
			return &trapKinds[i]
		}
	}
	return nil
}

// trapIsSequel: most complaints that kill the task end in one of these.
func trapIsSequel(message string) bool {
	k := trapOf(message)
	return k != nil && (k.sequel || strings.HasPrefix(k.title, "Unhandled") || strings.HasPrefix(k.title, "PANIC"))
}

func readTrap(r *Report, f *Finding) {
	k := trapOf(r.Head())
	f.Type, f.Fatal, f.Blinds = TypeDoS, true, true
	s := r.faultStack()
	f.Stack = s.all()
	r.fault = frame.Bare(s.at)
	title := k.title
	if title == "" {
		title = dieRE.FindStringSubmatch(r.Head())[1]
	}
	f.in(title, f.Stack)
	if k.family != "" {
		f.also(k.family)
	}
	f.Corrupted = f.Corrupted || !r.traced()
}
