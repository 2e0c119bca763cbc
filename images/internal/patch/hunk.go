// SPDX-License-Identifier: Apache-2.0

package patch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

type hunkError struct {
	number int // from 1
	reason string
}

func (e *hunkError) Error() string { return fmt.Sprintf("hunk %d: %s", e.number, e.reason) }

// applyHunks applies hunks to a file. A hunk may have moved up or down but its
// context must match in full: fuzz would put lock calls into the wrong
// function sooner or later.
func applyHunks(old []byte, hunks []*gitdiff.TextFragment) ([]byte, error) {
	var file []string
	for line := range strings.Lines(string(old)) {
		file = append(file, line)
	}
	var out strings.Builder
	done, shift := 0, 0 // lines of file used up; how far the last hunk had moved
	for i, h := range hunks {
		before, after := sides(h)
		nominal := int(h.OldPosition) - 1
		if h.OldLines == 0 {
			nominal++ // an insertion behind the line of that number
		}
		at := place(file, before, h, nominal+shift, done)
		if at < 0 {
			return nil, &hunkError{i + 1, explain(file, before, after, nominal+shift)}
		}
		shift = at - nominal
		out.WriteString(strings.Join(file[done:at], ""))
		out.WriteString(strings.Join(after, ""))
		done = at + len(before)
	}
	out.WriteString(strings.Join(file[done:], ""))
	return []byte(out.String()), nil
}

// sides returns what a hunk expects and what it leaves.
func sides(h *gitdiff.TextFragment) (before, after []string) {
	for _, line := range h.Lines {
		if line.Op != gitdiff.OpAdd {
			before = append(before, line.Line)
		}
		if line.Op != gitdiff.OpDelete {
			after = append(after, line.Line)
		}
	}
	return before, after
}

// place finds where a hunk goes: the matching place nearest to the one wanted,
// not before line lowest. As with git apply, a hunk of the file's first line stays
// at the beginning; one without trailing context goes to the end, or exactly
// where it says.
func place(file, before []string, h *gitdiff.TextFragment, want, lowest int) int {
	last := len(file) - len(before)
	if last < lowest {
		return -1
	}
	fits := func(at int) bool {
		return at >= lowest && at <= last && slices.Equal(file[at:at+len(before)], before)
	}
	if h.OldPosition <= 1 && h.LeadingContext == 0 {
		return oneOf(fits, 0)
	}
	if h.TrailingContext == 0 {
		return oneOf(fits, last, want)
	}
	want = min(max(lowest, want), last)
	for away := 0; want-away >= lowest || want+away <= last; away++ {
		if fits(want - away) {
			return want - away
		}
		if fits(want + away) {
			return want + away
		}
	}
	return -1
}

// oneOf returns the first of some places that fits, or -1.
func oneOf(fits func(int) bool, places ...int) int {
	for _, at := range places {
		if fits(at) {
			return at
		}
	}
	return -1
}

// explain says why a hunk has no place.
func explain(file, before, after []string, want int) string {
	for at := range file {
		if len(after) > 0 && at+len(after) <= len(file) && slices.Equal(file[at:at+len(after)], after) {
			return fmt.Sprintf("it seems to be applied already, at line %d", at+1)
		}
	}
	for i, line := range before {
		switch at := want + i; {
		case at < 0 || at >= len(file):
			return fmt.Sprintf("the file has %d lines, and the hunk wants line %d", len(file), at+1)
		case file[at] != line:
			return fmt.Sprintf("it fits nowhere; at line %d it wants %q and finds %q",
				at+1, strings.TrimSuffix(line, "\n"), strings.TrimSuffix(file[at], "\n"))
		}
	}
	return "it fits, but only before an earlier hunk of the same file"
}
