// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"strings"

	"plugstorm/harness/frame"
)

// Excerpt returns the messages of a complaint, prefixes stripped, lines of
// other sources left out: at most maxLines and maxBytes. text is the input from
// the finding's Start to its End.
func Excerpt(text []byte) []string {
	var lines []string
	var first Line
	everyCPU, kept := false, 0
	for len(text) > 0 && len(lines) < maxLines && kept < maxBytes {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		l := lex(line[:min(len(line), maxLine)])
		text = rest
		otherCPU := everyCPU && l.Stamped && strings.HasPrefix(l.Caller, "C")
		switch {
		case isHeartbeat(l.Message):
			continue
		case len(lines) == 0:
			first = l
		case !otherCPU && !first.sameSource(&l):
			continue
		}
		everyCPU = everyCPU || containsAny(l.Message, allCPUMarks)
		lines = append(lines, l.Message)
		kept += len(l.Message)
	}
	return lines
}

// allCPUMarks stand in messages after which other CPUs' lines belong to the report.
var allCPUMarks = []string{"LOCKUP on other CPUs", "Sending NMI from CPU"}

// Subject returns the first function of a stack that isn't plumbing: the one
// that a title names. It is "" where there is none.
func Subject(stack []string) string { return culprit(stack) }

// reportDepth is how many frames at the top of a stack reporting takes at most:
// dump_stack_lvl, print_circular_bug, check_noncircular, __lock_acquire, ...
const reportDepth = 8

// Trim returns a stack without the frames at its top that only report.
func Trim(stack []string) []string {
	for i := min(len(stack), reportDepth) - 1; i >= 0; i-- {
		if isNoise(frame.Bare(stack[i])) {
			return stack[i+1:]
		}
	}
	return stack
}
