// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"plugstorm/harness/lockdep"
	"plugstorm/harness/report"
	"plugstorm/harness/splat"
	"plugstorm/harness/triage"
	"plugstorm/harness/waitfor"
)

// triageFormats are all that a log can be turned into, for people.
var triageFormats = map[string]func(io.Writer, *triage.Log) error{
	"text": func(w io.Writer, l *triage.Log) error { return report.Triage(w, l, false) },
	"lkml": func(w io.Writer, l *triage.Log) error { return report.Mails(w, l, "") },
	"dot":  report.Dot,
	"svg":  report.SVG,
}

func formatted(t *testing.T, format string, l *triage.Log) string {
	t.Helper()
	var b bytes.Buffer
	if err := triageFormats[format](&b, l); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// console reads a golden sample of package splat.
func sampleLog(t *testing.T, file string) *triage.Log {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	input, _, ok := bytes.Cut(data, []byte("======== expected ========\n"))
	if !ok {
		t.Fatalf("%s is no sample", file)
	}
	l, err := triage.ReadInput(filepath.Base(file), bytes.NewReader(input), 0)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var sampleRE = regexp.MustCompile(`^What triage makes of (\.\./splat/testdata/\S+\.txt)\n$`)

// TestTriageGolden: what each format makes of real complaints.
func TestTriageGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/triage/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m := sampleRE.FindStringSubmatch(string(archive.Comment))
			if m == nil {
				t.Fatalf("which sample is %q?", archive.Comment)
			}
			l := sampleLog(t, m[1])
			for i := range archive.Files {
				want := &archive.Files[i]
				got := formatted(t, want.Name, l)
				if diff := cmp.Diff(string(want.Data), got); diff != "" {
					t.Errorf("%s:\n%s", want.Name, diff)
				}
				want.Data = []byte(got)
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// allSamples are the golden samples of all detectors.
func allSamples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../splat/testdata/*/*.txt")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d samples: %v", len(files), err)
	}
	return slices.DeleteFunc(files, func(file string) bool {
		return !slices.Contains(splat.Detectors.Names(), filepath.Base(filepath.Dir(file)))
	})
}

// TestMailIsReadAgain: what a maintainer gets shows the same bugs as the log.
func TestMailIsReadAgain(t *testing.T) {
	for _, file := range allSamples(t) {
		l := sampleLog(t, file)
		if len(l.Findings) == 0 {
			continue
		}
		again, err := triage.ReadInput("mail", strings.NewReader(formatted(t, "lkml", l)), 0)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		want, got := names(l), names(again)
		if !subset(want, got) {
			t.Errorf("%s: the mails don't show the same: %s", file, cmp.Diff(want, got))
		}
	}
}

// names are the identities; of hangs the titles, for a hang's identity may come
// from dumps that aren't part of any complaint.
func names(l *triage.Log) map[string]bool {
	all := map[string]bool{}
	hangs := map[string]bool{}
	for _, f := range l.Findings {
		switch {
		case f.Type == splat.TypeReboot: // it takes a kernel that ran before
		case f.Type != splat.TypeHang:
			all[f.Identity] = true
		case !hangs[f.Identity]:
			hangs[f.Identity] = true
			all[f.Title] = true
		}
	}
	return all
}

func subset(a, b map[string]bool) bool {
	for s := range a {
		if !b[s] {
			return false
		}
	}
	return true
}

// TestMailIsAMail: a header that mail programs take, a body of 75 columns but
// for the lines of the log, and a sentence for what it is about.
func TestMailIsAMail(t *testing.T) {
	for _, file := range allSamples(t) {
		l := sampleLog(t, file)
		logged := map[string]bool{}
		for _, f := range l.Findings {
			for _, line := range f.Lines {
				logged[strings.Join(strings.Fields(line), " ")] = true
			}
		}
		text := formatted(t, "lkml", l)
		if strings.Count(text, "\nSubject: [plugstorm] ") != strings.Count("\n"+text, "\nFrom plugstorm Mon Sep 17 00:00:00 2001\n") {
			t.Errorf("%s: mails and subjects differ in number", file)
		}
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			words := strings.Join(strings.Fields(line), " ")
			switch {
			case utf8.RuneCountInString(line) <= 75, logged[words], strings.HasPrefix(line, "Subject: "):
			case strings.Contains(line, "+0x"): // a frame, its addresses cut
			case !strings.Contains(words, " "):
			default:
				t.Errorf("%s: %d columns: %s", file, utf8.RuneCountInString(line), line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("%s: blanks at the end of %q", file, line)
			}
		}
	}
}

// TestMailOfARun: where the complaint comes from a run, the mail says how to
// have it again; otherwise it invents nothing.
func TestMailOfARun(t *testing.T) {
	l := sampleLog(t, "../splat/testdata/warning/pseries-lockdep-assert.txt")
	var with bytes.Buffer
	if err := report.Mails(&with, l, "plugstorm run --seed 1"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(with.String(), "\nTo reproduce:\n\n    plugstorm run --seed 1\n\n") {
		t.Errorf("%s", with.String())
	}
	if without := formatted(t, "lkml", l); strings.Contains(without, "reproduce") {
		t.Errorf("%s", without)
	}
}

// hostile is a log whose every word wants to break out of its place.
func hostile() *triage.Log {
	const evil = "a\"];b->c [label=\"x\\\"</svg><script>&amp;\n\x1b[31m\u202e<b>\\N{||}"
	return &triage.Log{File: evil, Findings: []triage.Finding{
		{
			Finding: splat.Finding{
				Title: evil, Type: evil, Identity: evil, Task: evil, Stack: []string{evil, "From me"}, Explain: evil,
				Locks: &lockdep.Report{
					Kind: lockdep.Circular, Edges: []lockdep.Edge{{From: evil, To: "b", FromIs: evil}, {From: "b", To: evil}},
					Chain: []lockdep.Link{{Class: evil, Stack: []string{evil}}, {Class: "b", Stack: []string{evil}}},
				},
			},
			Kernel: evil, Hardware: evil, Part: evil, Lines: []string{evil, "From nobody Mon Sep 17 00:00:00 2001", ">From x"},
			Places: map[string][]triage.Place{evil + "+0x1/0x2": {{Func: evil, File: evil, Line: 1}}}, Unlocated: []string{evil},
		},
		{Finding: splat.Finding{Title: "hang", Identity: "h", Stack: []string{evil}, Waits: &waitfor.Graph{Waits: []waitfor.Wait{
			{Task: evil, Site: evil, Object: waitfor.Object{Kind: waitfor.Work, Name: evil}, By: []waitfor.Block{{Task: "b/1", Why: waitfor.Inferred}}},
			{Task: "b/1", Object: waitfor.Object{Kind: "\x00"}, By: []waitfor.Block{{Task: evil, Why: waitfor.Runs}}},
		}, Cycle: []int{0, 1}}}},
	}}
}

// TestTriageIsSafe: nothing moves a cursor, hides, or runs from right to left,
// and no mail becomes two.
func TestTriageIsSafe(t *testing.T) {
	for format := range triageFormats {
		out := formatted(t, format, hostile())
		for _, r := range out {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) || unicode.Is(unicode.Hebrew, r) {
				t.Errorf("%s: %U in the report", format, r)
			}
		}
		if n := strings.Count("\n"+out, "\nFrom "); format == "lkml" && n != 2 {
			t.Errorf("%d mails", n)
		}
	}
}

// TestSubjectIsSafe: the name of a source file comes from an ELF file, and may be
// anything; in a mail's header it is escaped.
func TestSubjectIsSafe(t *testing.T) {
	l := &triage.Log{Findings: []triage.Finding{{
		Finding: splat.Finding{Title: "WARNING in f", Identity: "warning: f", CPU: -1},
		Lines:   []string{"f+0x1/0x2"}, Places: map[string][]triage.Place{"f+0x1/0x2": {{Func: "f", File: "own\nBcc: a@b/x.c", Line: 1}}},
	}}}
	var out bytes.Buffer
	if err := report.Mails(&out, l, ""); err != nil {
		t.Fatal(err)
	}
	if _, subject, _ := strings.Cut(out.String(), "\n"); !strings.HasPrefix(subject, "Subject: [plugstorm] own\\x0aBcc: a@b: WARNING in f\n") {
		t.Errorf("%.100q", subject)
	}
}

// TestTriageColour: only the titles are bold, and only when asked for.
func TestTriageColour(t *testing.T) {
	l := sampleLog(t, "../splat/testdata/warning/x86-interleaved.txt")
	var color bytes.Buffer
	if err := report.Triage(&color, l, true); err != nil {
		t.Fatal(err)
	}
	plain := strings.NewReplacer("\x1b[1m", "", "\x1b[m", "").Replace(color.String())
	if diff := cmp.Diff(formatted(t, "text", l), plain); diff != "" || strings.Count(color.String(), "\x1b[1m") == 0 {
		t.Errorf("colour adds nothing but colour: %s", diff)
	}
}

// TestTriageBrokenWriter: its error comes out.
func TestTriageBrokenWriter(t *testing.T) {
	l := sampleLog(t, "../splat/testdata/lockdep_deadlock/x86-recursive.txt")
	for format, write := range triageFormats {
		whole := formatted(t, format, l)
		for room := 0; room < len(whole); room += 1 + room/5 {
			if err := write(&limited{room: room}, l); !errors.Is(err, errBroken) {
				t.Fatalf("%s, broken after %d bytes: %v", format, room, err)
			}
		}
	}
}

// TestTriagePlaces: inlined functions are lines of their own, the innermost first.
func TestTriagePlaces(t *testing.T) {
	l := sampleLog(t, "../splat/testdata/warning/x86-interleaved.txt")
	f := &l.Findings[0]
	f.Places = map[string][]triage.Place{"__remove_memory+0x1/0x20": {{Func: "lock_device_hotplug", File: "drivers/base/core.c", Line: 3}, {Func: "__remove_memory", File: "mm/memory_hotplug.c", Line: 7}}}
	f.Unlocated = []string{"acpi_memory_device_remove: another build"}
	const want = `
    stack     try_remove_memory
              lock_device_hotplug at drivers/base/core.c:3, inlined
              __remove_memory at mm/memory_hotplug.c:7
              acpi_memory_device_remove
    symbols   acpi_memory_device_remove: another build
`
	if got := formatted(t, "text", l); !strings.Contains(got, want) {
		t.Errorf("%s", got)
	}
}
