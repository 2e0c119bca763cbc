// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"plugstorm/harness/report"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata after comparing them")

// A sample is one file of testdata: a run as JSON, and what each format makes
// of it.
type sample struct {
	path    string
	archive *txtar.Archive
	run     *report.Run
}

func samples(t *testing.T) []sample {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	var all []sample
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s := sample{path: path, archive: archive, run: &report.Run{}}
		if err := json.Unmarshal(s.file(t, "run.json").Data, s.run); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, s)
	}
	return all
}

func (s sample) file(t *testing.T, name string) *txtar.File {
	t.Helper()
	for i := range s.archive.Files {
		if s.archive.Files[i].Name == name {
			return &s.archive.Files[i]
		}
	}
	t.Fatalf("%s holds no %s", s.path, name)
	return nil
}

// TestGolden: what each format makes of each sample.
func TestGolden(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(strings.TrimSuffix(filepath.Base(s.path), ".txtar"), func(t *testing.T) {
			for _, format := range report.Formats.All() {
				want := s.file(t, format.Name)
				var got bytes.Buffer
				if err := format.Write(&got, s.run); err != nil {
					t.Fatal(err)
				}
				shown := indented(t, format.Name, got.Bytes())
				if diff := cmp.Diff(string(want.Data), shown); diff != "" {
					t.Errorf("%s:\n%s", format.Name, diff)
				}
				want.Data = []byte(shown)
			}
			if *update {
				if err := os.WriteFile(s.path, txtar.Format(s.archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// indented lays JSON out so that people can compare it.
func indented(t *testing.T, format string, data []byte) string {
	t.Helper()
	if format != report.JSON.Name {
		return string(data)
	}
	if n := bytes.Count(data, []byte("\n")); n != 1 || !bytes.HasSuffix(data, []byte("}\n")) {
		t.Errorf("the JSON takes %d lines, want one object on one line", n)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", " "); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestTextIsSafe: nothing in the text report moves a cursor, hides, or runs
// from right to left, and no text breaks a line.
func TestTextIsSafe(t *testing.T) {
	for _, s := range samples(t) {
		var out bytes.Buffer
		if err := report.Text.Write(&out, s.run); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsPrint(r) || unicode.Is(unicode.Hebrew, r) {
				t.Errorf("%s: %U in the report", s.path, r)
			}
		}
		if n := strings.Count(out.String(), "\n=="); n != len(s.run.Machines) {
			t.Errorf("%s: %d lines look like the beginning of a machine's part, %d are", s.path, n, len(s.run.Machines))
		}
	}
}

// TestTextFitsAMail: lines are at most 100 columns wide, apart from those that
// somebody may want to copy as a whole.
func TestTextFitsAMail(t *testing.T) {
	whole := []string{"replay", "report: ", "    identity: ", "    during ", "  next: ", "    lock order "}
	for _, s := range samples(t) {
		if strings.Contains(s.path, "hostile") {
			continue // its names are too long on purpose
		}
		var out bytes.Buffer
		if err := report.Text.Write(&out, s.run); err != nil {
			t.Fatal(err)
		}
	lines:
		for line := range strings.Lines(out.String()) {
			for _, prefix := range whole {
				if strings.HasPrefix(line, prefix) {
					continue lines
				}
			}
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 100 {
				t.Errorf("%s: %d columns: %s", s.path, n, line)
			}
			if strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
				t.Errorf("%s: blanks at the end of %q", s.path, line)
			}
		}
	}
}
