// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expectations in the golden files")

// A golden file is testdata/DETECTOR/CASE.txt: a console, then this line, then
// the findings in it as JSON.
const expectation = "======== expected ========\n"

func TestGolden(t *testing.T) {
	for _, d := range Detectors.All() {
		files, err := filepath.Glob(filepath.Join("testdata", d.Name, "*.txt"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Errorf("detector %s has no golden file in testdata/%s", d.Name, d.Name)
		}
		for _, file := range files {
			t.Run(d.Name+"/"+strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { golden(t, d, file) })
		}
	}
}

func golden(t *testing.T, d *Detector, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	input, want, _ := bytes.Cut(data, []byte(expectation))
	found := Find(input)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(found); err != nil {
		t.Fatal(err)
	}
	got := out.Bytes()
	if *update {
		if err := os.WriteFile(file, slices.Concat(input, []byte(expectation), got), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("findings differ (-want +got; -update rewrites):\n%s", diff)
	}
	if !slices.ContainsFunc(found, func(f Finding) bool { return f.Detector == d.Name }) {
		t.Errorf("detector %s finds nothing in its own golden file", d.Name)
	}
	for _, f := range found {
		checkFinding(t, input, f)
	}
}

// checkFinding checks what holds for every finding.
func checkFinding(t interface{ Errorf(string, ...any) }, input []byte, f Finding) {
	if f.Title == "" || f.Identity == "" || f.Detector == "" || f.Stack == nil {
		t.Errorf("incomplete finding %+v", f)
	}
	if f.Start < 0 || f.Start >= f.End || f.End > int64(len(input)) {
		t.Errorf("%s: [%d,%d) isn't in the input of %d bytes", f.Title, f.Start, f.End, len(input))
		return
	}
	if f.Start > 0 && input[f.Start-1] != '\n' {
		t.Errorf("%s: starts at %d, inside a line", f.Title, f.Start)
	}
	if strings.ContainsAny(f.Title, "\n\r\x00") {
		t.Errorf("title %q isn't one line", f.Title)
	}
}

// TestDocs insists that a detector's Doc says what its identity is made of.
func TestDocs(t *testing.T) {
	for _, d := range Detectors.All() {
		if !strings.Contains(d.Doc, "Identity: ") {
			t.Errorf("detector %s doesn't document its identity", d.Name)
		}
		if d.Begins == nil || d.Read == nil || len(d.Anchors) == 0 {
			t.Errorf("detector %s is incomplete", d.Name)
		}
	}
}
