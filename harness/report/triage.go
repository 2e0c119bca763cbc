// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"plugstorm/harness/console"
	"plugstorm/harness/lockdep"
	"plugstorm/harness/splat"
	"plugstorm/harness/triage"
)

// Triage writes what a log holds, for people: a block for each complaint, seen
// how often ever. color may use a terminal's bold face.
func Triage(w io.Writer, l *triage.Log, color bool) error {
	t := &text{w: w}
	groups := group(l.Findings)
	if len(groups) == 0 && l.Error == "" {
		t.f("%s: no complaint\n", l.File)
	}
	for _, g := range groups {
		t.sighted(l.File, g, color)
	}
	if l.Dropped > 0 {
		t.f("%s: %d more complaints, too many to be kept\n", l.File, l.Dropped)
	}
	return t.err
}

// A sighted is one complaint of a log with all its sightings, in their order.
type sighted []*triage.Finding

// group puts the sightings of each complaint together, in the order of the
// first ones.
func group(found []triage.Finding) []sighted {
	var groups []sighted
	at := map[string]int{}
	for i := range found {
		f := &found[i]
		if n, ok := at[f.Identity]; ok {
			groups[n] = append(groups[n], f)
			continue
		}
		at[f.Identity] = len(groups)
		groups = append(groups, sighted{f})
	}
	return groups
}

// again is how many further sightings are listed.
const again = 3

func (t *text) sighted(file string, g sighted, color bool) {
	f := g[0]
	bold, plain := "", ""
	if color {
		bold, plain = "\x1b[1m", "\x1b[m"
	}
	title := bold + console.Escape(f.Title) + plain
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, "%s: %s\n", console.Escape(place(file, f)), title) // title must not be escaped again
	}
	t.field("type", cmp.Or(f.Type, "none"))
	t.field("where", where(f))
	t.field("kernel", f.Release())
	t.f("    %-*s%s\n", labelWidth-4, "identity", f.Identity) // in one piece, to be copied
	if f.Corrupted {
		t.field("note", "the report is cut off, or mixed with other output")
	}
	if len(g) > 1 {
		t.field("again", sightings(g))
	}
	t.field("why", explanation(&f.Finding))
	t.drawing(f)
	t.frames(f)
	for _, note := range f.Unlocated {
		t.field("symbols", note)
	}
}

// place is where a finding stands, as compilers print it.
func place(file string, f *triage.Finding) string {
	if f.Part != "" {
		file += " (" + f.Part + ")"
	}
	return fmt.Sprintf("%s:%d-%d", file, f.Start, f.End)
}

func where(f *triage.Finding) string {
	var parts []string
	if f.Task != "" {
		parts = append(parts, "task "+f.Task)
	}
	if f.CPU >= 0 {
		parts = append(parts, fmt.Sprintf("CPU %d", f.CPU))
	}
	return strings.Join(parts, ", ")
}

func sightings(g sighted) string {
	var at []string
	for _, f := range g[1:min(len(g), 1+again)] {
		at = append(at, strings.TrimSpace(f.Part+fmt.Sprintf(" %d-%d", f.Start, f.End)))
	}
	if n := len(g) - 1 - len(at); n > 0 {
		at = append(at, fmt.Sprintf("and %d more", n))
	}
	return "at " + strings.Join(at, ", ")
}

// explanation is a sentence or two about what is wrong, or "".
func explanation(f *splat.Finding) string {
	switch {
	case f.Explain != "":
		return f.Explain
	case f.Locks != nil:
		return f.Locks.Sentence()
	}
	return ""
}

// labelWidth is how far the values of a block are indented.
const labelWidth = 14

// field writes a label and its value, unless there is none.
func (t *text) field(label, value string) {
	if value != "" {
		t.prose(fmt.Sprintf("    %-*s", labelWidth-4, label), value)
	}
}

// drawing writes the lock chain and the scenario.
func (t *text) drawing(f *triage.Finding) {
	for i, line := range drawn(f.Locks) {
		label := ""
		if i == 0 {
			label = "locks"
		}
		line = fmt.Sprintf("    %-*s%s", labelWidth-4, label, line)
		t.f("%s\n", strings.TrimRight(line, " "))
	}
}

// drawn is a lock order drawn as lockdep does it, in lines; nil without one.
func drawn(r *lockdep.Report) []string {
	if r == nil {
		return nil
	}
	text := strings.TrimRight(r.Draw(), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// frames writes the stack, without what only reports. Of a dependency chain it
// has been drawn.
func (t *text) frames(f *triage.Finding) {
	if f.Locks != nil && len(f.Locks.Chain) > 1 && f.Places == nil {
		return
	}
	label := "stack"
	frames := f.Trimmed()
	for i, frame := range frames {
		if i == stackDepth {
			t.f("%*s... %d more\n", labelWidth, "", len(frames)-i)
			break
		}
		for _, line := range located(frame, f.PlacesOf(frame)) {
			t.f("    %-*s%s\n", labelWidth-4, label, line)
			label = ""
		}
	}
}

// located is a frame with its places, a line for each function that was inlined.
func located(frame string, places []triage.Place) []string {
	if len(places) == 0 {
		return []string{frame}
	}
	var lines []string
	for _, p := range places[:len(places)-1] {
		lines = append(lines, fmt.Sprintf("%s at %s:%d, inlined", p.Func, p.File, p.Line))
	}
	last := places[len(places)-1]
	return append(lines, fmt.Sprintf("%s at %s:%d", frame, last.File, last.Line))
}
