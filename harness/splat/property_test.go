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

// consoles returns the logs of everyConsole that are short.
func consoles(t testing.TB) [][]byte {
	var all [][]byte
	for _, c := range everyConsole(t) {
		if len(c.log) < 20_000 {
			all = append(all, c.log)
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
	return Explain(bytes.Join(pieces, nil), found)
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
	r := drawn(t)
	for _, log := range consoles(t) {
		if !oneOf(4, r) {
			continue
		}
		whole := len(Find(log))
		for n := range len(log) {
			atLine := *exhaustive && log[n] == '\n'
			if !atLine && r.IntN(len(log)) > 1 {
				continue
			}
			part := Find(log[:n])
			if len(part) > whole {
				t.Errorf("%d findings in %d bytes, but %d in all %d:\n%q", len(part), n, whole, len(log), names(part))
			}
			for _, f := range part {
				checkFinding(t, log[:n], f)
			}
		}
	}
}

// TestCutHead: the input may end anywhere in a complaint's first line.
func TestCutHead(t *testing.T) {
	r := drawn(t)
	for _, log := range consoles(t) {
		if !oneOf(4, r) {
			continue
		}
		for _, f := range Find(log) {
			head, _, _ := bytes.Cut(log[f.Start:f.End], []byte("\n"))
			for n := range head {
				for _, g := range Find(head[:n]) {
					checkFinding(t, head[:n], g)
				}
			}
		}
	}
}

// TestReread: reading on from the end of a finding doesn't find it again. What
// has the same title there is another complaint, which the whole shows too.
func TestReread(t *testing.T) {
	r := drawn(t)
	for i, log := range consoles(t) {
		if !oneOf(4, r) {
			continue
		}
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
	r := drawn(t)
	for i, log := range consoles(t) {
		if !oneOf(4, r) {
			continue
		}
		if !inOrder(records(log)) || bytes.Contains(log, []byte(replayNotice)) {
			continue
		}
		const beat = "[   T64] plugstorm: heartbeat seq=1 up=1000ms free=1 workloads=0\n"
		var stamp []byte
		var noisy bytes.Buffer
		for line := range bytes.Lines(log) {
			noisy.Write(line)
			if m := innerRE.Find(line); m != nil {
				stamp = m
			}
			if len(stamp) > 0 && bytes.HasSuffix(line, []byte("\n")) {
				noisy.Write(stamp)
				noisy.WriteString(beat)
			}
		}
		want, got := Find(log), Find(noisy.Bytes())
		if slices.ContainsFunc(got, func(f Finding) bool { return f.Detector == Reboot.Name }) {
			continue // a beat from before the reboot, behind it, is no ordinary one
		}
		if len(want) != len(got) {
			t.Errorf("log %d: %q, with heartbeats %q", i, names(want), names(got))
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
	files, _ := filepath.Glob("testdata/*/*.txt")
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
