// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var misses = flag.Bool("misses", false, "list every corpus sample whose title, type or ALT differs")

// A sample is one file of testdata/corpus/console: google/syzkaller's console
// logs with the first complaint that is to be found in each.
type sample struct {
	name, title, typ string
	alt              []string
	corrupted        bool
	start            string
	log              []byte
	foreign          bool // its title is one that only the fuzzer's own programs print
}

func corpus(t testing.TB) []sample {
	files, err := filepath.Glob("testdata/corpus/console/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	slices.SortFunc(files, func(a, b string) int {
		x, _ := strconv.Atoi(filepath.Base(a))
		y, _ := strconv.Atoi(filepath.Base(b))
		return x - y
	})
	var all []sample
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parseSample(filepath.Base(file), data))
	}
	return all
}

func parseSample(name string, data []byte) sample {
	data = bytes.ReplaceAll(data, []byte("\r"), nil)
	s := sample{name: name}
	for {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		data = rest
		if len(line) == 0 {
			break
		}
		key, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "TITLE":
			s.title = value
		case "TYPE":
			s.typ = value
		case "ALT":
			s.alt = append(s.alt, value)
		case "CORRUPTED":
			s.corrupted = value == "Y"
		case "START":
			s.start = value
		}
	}
	s.log = data
	if i := bytes.Index(data, []byte("\n\nREPORT:\n")); i >= 0 {
		s.log = data[:i+1]
	}
	s.foreign = strings.HasPrefix(s.title, "SYZFAIL") || strings.HasPrefix(s.title, "SYZFATAL") || strings.HasPrefix(s.title, "panic:")
	return s
}

// TestCorpus compares the first finding of every sample with what is expected
// of a good parser. The floors are what was reached; raise them with the code.
func TestCorpus(t *testing.T) {
	var n, found, typed, titled, alts, corrupt, clean int
	for _, s := range corpus(t) {
		if s.foreign {
			continue
		}
		fs := Find(s.log)
		if s.title == "" {
			clean++
			if len(fs) != 0 {
				t.Errorf("%s: found %q where nothing is", s.name, fs[0].Title)
			}
			continue
		}
		n++
		if len(fs) == 0 {
			t.Errorf("%s: found nothing, want %q", s.name, s.title)
			continue
		}
		found++
		f := fs[0]
		typed += s.tally(t, f.Type == s.typ || f.Type == TypeLostSight && s.typ == "", "type", f.Type, s.typ)
		titled += s.tally(t, f.Title == s.title, "title", f.Title, s.title)
		missing := slices.ContainsFunc(s.alt, func(a string) bool { return !slices.Contains(f.Alt, a) })
		alts += s.tally(t, !missing, "alt", strings.Join(f.Alt, "|"), strings.Join(s.alt, "|"))
		corrupt += s.tally(t, f.Corrupted == s.corrupted, "corrupted", strconv.FormatBool(f.Corrupted), strconv.FormatBool(s.corrupted))
		if line, _, _ := strings.Cut(string(s.log[f.Start:]), "\n"); s.start != "" && line != s.start {
			t.Errorf("%s: starts at %q, want %q", s.name, line, s.start)
		}
	}
	t.Logf("%d samples with a complaint, %d without", n, clean)
	floor(t, "found", found, n, 100)
	floor(t, "type", typed, n, 99)
	floor(t, "title", titled, n, 98)
	floor(t, "alt", alts, n, 98)
	floor(t, "corrupted", corrupt, n, 97)
}

// floor reports a share and fails below the least percentage.
func floor(t *testing.T, what string, got, of int, least float64) {
	percent := 100 * float64(got) / float64(of)
	t.Logf("%-10s %3d of %d, %.1f %%", what, got, of, percent)
	if percent < least {
		t.Errorf("%s: %.1f %%, the floor is %v %%", what, percent, least)
	}
}

// tally returns 1 for a hit and lists a miss.
func (s sample) tally(t *testing.T, ok bool, what, got, want string) int {
	if ok {
		return 1
	}
	if *misses {
		t.Logf("MISS %s %s: got %q want %q", what, s.name, got, want)
	}
	return 0
}
