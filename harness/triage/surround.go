// SPDX-License-Identifier: Apache-2.0

package triage

import (
	"regexp"
	"slices"
	"strings"

	"plugstorm/harness/splat"
)

var (
	// The line that names a kernel in a report: lockdep's "6.12.117 #1 Not
	// tainted" (print_kernel_ident), and dump_stack's "... Comm: x Tainted: G W
	// 6.12.117 #1" (dump_stack_print_info).
	releaseRE = regexp.MustCompile(`(?:^|[Tt]ainted(?:: [A-Z ]+?)?(?: \[\w+\]=\w+(?:, \[\w+\]=\w+)*)?) *(\d+\.\d+\S* #\S+(?: SMP)?(?: PREEMPT\w*)?)(?: |$)`)
	// The release in a banner, or in what releaseRE matches.
	versionRE = regexp.MustCompile(`^(?:Linux version )?(\d+\.\S*)`)
)

// release returns the kernel's release and build number that a report names, or "".
func release(lines []string) string {
	for _, line := range lines {
		if m := releaseRE.FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
	return ""
}

// hardware returns the machine that a report names, or "".
func hardware(lines []string) string {
	for _, line := range lines {
		if name, ok := strings.CutPrefix(line, "Hardware name: "); ok {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// Release returns the kernel's release ("6.12.117-plugstorm"), or "".
func (f *Finding) Release() string {
	if m := versionRE.FindStringSubmatch(f.Kernel); m != nil {
		return m[1]
	}
	return ""
}

// explain explains the hangs that have been found, out of the window.
func (r *reader) explain() {
	if r.hang < 0 {
		return
	}
	first := slices.IndexFunc(r.found, func(f Finding) bool { return f.Start >= r.hang })
	r.hang = -1
	if first < 0 {
		return
	}
	from := max(r.base, r.found[first].Start)
	hangs := make([]splat.Finding, 0, len(r.found)-first)
	for _, f := range r.found[first:] {
		f.Start -= from
		f.End -= from
		hangs = append(hangs, f.Finding)
	}
	for i, f := range splat.Explain(r.window[from-r.base:], hangs) {
		f.Start += from
		f.End += from
		r.found[first+i].Finding = f
	}
}
