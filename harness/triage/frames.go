// SPDX-License-Identifier: Apache-2.0

package triage

import (
	"slices"
	"strings"

	"plugstorm/harness/splat"
)

// Trimmed is the stack without the frames at its top that only report.
func (f *Finding) Trimmed() []string {
	if trimmed := splat.Trim(f.Stack); len(trimmed) > 0 {
		return trimmed
	}
	return f.Stack
}

// Symbols turns the references to code in a text into places in the source. It
// returns the text with them, lines about what it couldn't find added at its
// end, and what it found, by reference.
type Symbols interface {
	Annotate(text string) (string, map[string][]Place)
}

// Locate adds the places in the source.
func (l *Log) Locate(s Symbols) {
	for i := range l.Findings {
		f := &l.Findings[i]
		if len(f.Lines) == 0 {
			continue
		}
		text, places := s.Annotate(strings.Join(f.Lines, "\n"))
		lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
		n := min(len(f.Lines), len(lines))
		f.Places, f.Lines, f.Unlocated = places, lines[:n], lines[n:]
	}
}

// PlacesOf returns the places of the first frame of a function, innermost
// inlined function first.
func (f *Finding) PlacesOf(fn string) []Place {
	first, at := "", -1
	for frame := range f.Places {
		name, _, _ := strings.Cut(frame, "+")
		if base, _, _ := strings.Cut(name, "."); name != fn && base != fn {
			continue
		}
		i := slices.IndexFunc(f.Lines, func(line string) bool { return strings.Contains(line, frame) })
		if at < 0 || i < at || i == at && frame < first {
			first, at = frame, i
		}
	}
	return f.Places[first]
}
