// SPDX-License-Identifier: Apache-2.0

package lockdep

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

// A golden file is testdata/NAME.txt: a report without prefixes, then this
// line, then what is read from it: identity, sentence, drawing and model.
// Files named corpus-* are from google/syzkaller's console logs, real-* from
// our own runs, the others written in the format of the version they name.
const expectation = "======== expected ========\n"

func TestGolden(t *testing.T) {
	files := goldenFiles(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := bytes.Cut(data, []byte(expectation))
			r, ok := Parse(strings.Split(string(input), "\n"))
			if !ok {
				t.Fatal("not recognised")
			}
			got := describe(t, r)
			if *update {
				if err := os.WriteFile(file, slices.Concat(input, []byte(expectation), got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("model differs (-want +got; -update rewrites):\n%s", diff)
			}
		})
	}
}

func goldenFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	return files
}

// describe is the expectation of a golden file.
func describe(t *testing.T, r *Report) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(r.Signature() + "\n\n" + r.Sentence() + "\n\n" + r.Draw() + "\n")
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read returns the model of a golden file's report.
func read(t *testing.T, name string) *Report {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	input, _, _ := bytes.Cut(data, []byte(expectation))
	r, ok := Parse(strings.Split(string(input), "\n"))
	if !ok {
		t.Fatalf("%s: not recognised", name)
	}
	return r
}
