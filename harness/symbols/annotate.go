// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"plugstorm/harness/console"
)

// maxRefs bounds how many different references of one text are looked up.
const maxRefs = 4096

// Annotate puts " (mm/slub.c:123)" behind every reference of a console text,
// wherever it stands (stack frames, RIP and NIP lines, lockdep's "at:"), and
// returns the places by Ref.String(). Of inlined functions all positions
// stand in the parentheses, the innermost first, as scripts/decode_stacktrace.sh
// of the kernel has it. What can't be found stays as it is; a line at the end
// says once for each reason what and why.
func Annotate(text string, t *Table) (string, map[string][]Place) {
	a := annotator{table: t, places: map[string][]Place{}, failed: map[string]bool{}}
	for line := range strings.Lines(text) {
		a.line(line)
	}
	a.notes(text == "" || strings.HasSuffix(text, "\n"))
	return a.out.String(), a.places
}

type annotator struct {
	table   *Table
	out     strings.Builder
	places  map[string][]Place // of what was found
	failed  map[string]bool    // what wasn't
	reasons []reason
}

// A reason is why references of a text aren't found.
type reason struct {
	kind  failure
	first error
	count int
}

type failure int

const (
	otherBuild failure = iota
	ambiguous
	notThere
	unreadable
)

func (a *annotator) line(line string) {
	done, from := 0, 0
	for {
		i := strings.Index(line[from:], "+0x")
		if i < 0 {
			break
		}
		start, end, ref := refAt(line, from+i)
		if from += i + len("+0x"); end == 0 {
			continue
		}
		from = end
		ref.Return = !exact(line[:start])
		a.out.WriteString(line[done:end])
		a.out.WriteString(a.suffix(ref, line[end:]))
		done = end
	}
	a.out.WriteString(line[done:])
}

// suffix is what to put behind a reference.
func (a *annotator) suffix(ref Ref, behind string) string {
	places := a.lookup(ref)
	if len(places) == 0 || annotated(behind) {
		return ""
	}
	positions := make([]string, len(places))
	for i, p := range places {
		positions[i] = console.Escape(p.position())
	}
	return " (" + strings.Join(positions, " ") + ")"
}

// lookup returns the places of a reference. Where a text has the same one
// several times, it means the same: a stack that begins at the interrupted
// instruction (arm64, s390) repeats what the registers said.
func (a *annotator) lookup(ref Ref) []Place {
	key := ref.String()
	places, ok := a.places[key]
	if ok || a.failed[key] || len(a.places)+len(a.failed) >= maxRefs {
		return places
	}
	places, err := a.table.Locate(ref)
	if err != nil {
		a.failed[key] = true
		if ref.Offset != ref.Size { // else a stale word on the stack, as a rule: see places
			a.note(err)
		}
		return nil
	}
	a.places[key] = places
	return places
}

func (a *annotator) note(err error) {
	kind := unreadable
	var mismatch *MismatchError
	var several *AmbiguousError
	var missing *MissingError
	switch {
	case errors.As(err, &mismatch):
		kind = otherBuild
	case errors.As(err, &several):
		kind = ambiguous
	case errors.As(err, &missing):
		kind = notThere
	}
	for i := range a.reasons {
		if a.reasons[i].kind == kind {
			a.reasons[i].count++
			return
		}
	}
	a.reasons = append(a.reasons, reason{kind, err, 1})
}

// notes writes a line for each reason, behind a text that ended its last line
// or didn't.
func (a *annotator) notes(ended bool) {
	for _, r := range a.reasons {
		note := fmt.Sprintf("symbols: %d of %d references not found: %v", r.count, len(a.places)+len(a.failed), r.first)
		if r.kind == otherBuild {
			note += " (another build's?)"
		}
		if note = console.Escape(note); ended {
			a.out.WriteString(note + "\n")
		} else {
			a.out.WriteString("\n" + note)
		}
	}
}

// context is how many bytes around a reference tell what it is: lines may be
// endless.
const context = 256

// interrupted are texts before a reference that is where the CPU was, not a
// return address: of x86, powerpc, arm, arm64, riscv, s390, and of a WARN.
var interrupted = []string{"IP: ", "NIP ", "interrupt: ", "Exception: ", "PC is at ", "pc : ", "epc : ", "PSW : ", "WARNING: "}

func exact(before string) bool {
	before = before[max(0, len(before)-context):]
	return slices.ContainsFunc(interrupted, func(mark string) bool { return strings.Contains(before, mark) })
}

// annotated reports whether a position stands behind a reference already.
func annotated(behind string) bool {
	rest, ok := strings.CutPrefix(behind[:min(context, len(behind))], " (")
	position, _, closed := strings.Cut(rest, ")")
	return ok && closed && strings.Contains(position, ":") && strings.Contains(position, ".")
}
