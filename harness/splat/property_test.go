// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// consoles returns the inputs of all golden files and of some corpus samples.
func consoles(t testing.TB) [][]byte {
	var all [][]byte
	files, _ := filepath.Glob("testdata/*/*.txt")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		input, _, _ := bytes.Cut(data, []byte(expectation))
		all = append(all, input)
	}
	for i, s := range corpus(t) {
		if i%4 == 0 && len(s.log) < 20_000 {
			all = append(all, s.log)
		}
	}
	return all
}

// scan writes the input in the given pieces and collects what Next returns,
// asking after each piece if eager.
func scan(pieces [][]byte, eager bool) []Finding {
	var found []Finding
	s := NewScanner()
	take := func() {
		for f, ok := s.Next(); ok; f, ok = s.Next() {
			found = append(found, f)
		}
	}
	for _, p := range pieces {
		s.Write(p)
		if eager {
			take()
		}
	}
	s.Flush()
	take()
	return found
}

// TestAnySplit: the pieces in which the input arrives make no difference.
func TestAnySplit(t *testing.T) {
	logs := consoles(t)
	rapid.Check(t, func(t *rapid.T) {
		log := rapid.SampledFrom(logs).Draw(t, "log")
		var pieces [][]byte
		for rest := log; len(rest) > 0; {
			n := rapid.OneOf(rapid.IntRange(1, 40), rapid.IntRange(1, 4000)).Draw(t, "n")
			n = min(n, len(rest))
			pieces = append(pieces, bytes.Clone(rest[:n]))
			rest = rest[n:]
		}
		want := Find(log)
		got := scan(pieces, rapid.Bool().Draw(t, "eager"))
		if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
			t.Fatalf("findings differ (-whole +pieces):\n%s", diff)
		}
	})
}

// TestAnyPrefix: a prefix never panics and never shows more than the whole.
func TestAnyPrefix(t *testing.T) {
	logs := consoles(t)
	rapid.Check(t, func(t *rapid.T) {
		log := rapid.SampledFrom(logs).Draw(t, "log")
		n := rapid.IntRange(0, len(log)).Draw(t, "n")
		whole, part := Find(log), Find(log[:n])
		if len(part) > len(whole) {
			t.Fatalf("%d findings in %d bytes, but %d in all %d:\n%+v", len(part), n, len(whole), len(log), part)
		}
		for _, f := range part {
			checkFinding(t, log[:n], f)
		}
	})
}

// TestReread: reading on from the end of a finding doesn't find it again. What
// has the same title there is another complaint, which the whole shows too.
func TestReread(t *testing.T) {
	for i, log := range consoles(t) {
		whole := Find(log)
		for _, f := range whole {
			for _, g := range Find(log[f.End:]) {
				known := slices.ContainsFunc(whole, func(h Finding) bool { return h.Start == f.End+g.Start })
				if g.Title == f.Title && !known {
					t.Errorf("log %d: %q is found again behind its end", i, f.Title)
				}
			}
		}
	}
}

// TestQuietHeartbeat: heartbeats between any two lines change nothing but
// offsets.
func TestQuietHeartbeat(t *testing.T) {
	beat := []byte("[    1.000000][   T64] plugstorm: heartbeat seq=1 up=1000ms free=1 workloads=0\n")
	for i, log := range consoles(t) {
		var noisy bytes.Buffer
		for _, line := range bytes.SplitAfter(log, []byte("\n")) {
			noisy.Write(line)
			if bytes.HasSuffix(line, []byte("\n")) {
				noisy.Write(beat)
			}
		}
		want, got := Find(log), Find(noisy.Bytes())
		if slices.ContainsFunc(want, func(f Finding) bool { return f.Detector == Reboot.Name }) {
			continue // a beat from before the reboot, behind it, is no ordinary one
		}
		if len(want) != len(got) {
			t.Errorf("log %d: %d findings, with heartbeats %d", i, len(want), len(got))
			continue
		}
		for k := range want {
			want[k].Start, want[k].End, got[k].Start, got[k].End = 0, 0, 0, 0
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("log %d: heartbeats change the findings:\n%s", i, diff)
		}
	}
}

func FuzzFind(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/x86*.txt")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		input, _, _ := bytes.Cut(data, []byte(expectation))
		f.Add(input)
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		found := Find(log)
		for _, g := range found {
			checkFinding(t, log, g)
		}
		half := len(log) / 2
		if diff := cmp.Diff(found, scan([][]byte{log[:half], log[half:]}, true)); diff != "" && len(found) > 0 {
			t.Errorf("split in two:\n%s", diff)
		}
	})
}
