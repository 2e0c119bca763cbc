// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plugstorm/harness/frame"
)

var (
	seedFlag   = flag.Uint64("seed", 1, "seed of the tests that draw samples: fixed, so that a failure is about the change under test; 0 draws one")
	exhaustive = flag.Bool("exhaustive", false, "try every sample in every way, which takes minutes")
)

// drawn returns the source of a test's choices.
func drawn(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// oneOf lets one of n cases through, all with -exhaustive.
func oneOf(n int, r *rand.Rand) bool { return *exhaustive || r.IntN(n) == 0 }

// A named is a console of a golden file or of the corpus.
type named struct {
	name string
	log  []byte
}

// everyConsole returns the inputs of all golden files and the whole corpus.
func everyConsole(t testing.TB) []named {
	var all []named
	files, err := filepath.Glob("testdata/*/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		input, _, _ := bytes.Cut(data, []byte(expectation))
		all = append(all, named{strings.TrimPrefix(file, "testdata/"), input})
	}
	for _, s := range corpus(t) {
		all = append(all, named{"corpus/" + s.name, s.log})
	}
	return all
}

// names returns what a reader of a log is told, without where it stands.
func names(fs []Finding) []string {
	out := []string{}
	for _, f := range fs {
		out = append(out, fmt.Sprintf("%s | %s | %s", f.Title, f.Type, f.Identity))
	}
	return out
}

func plain(rs []record) []byte { return formats[0].write(rs) }

func isReboot(name string) bool { return strings.HasPrefix(name, "unexpected kernel reboot") }

// TestFormats: the same messages are the same findings in every format that
// they may reach us in. What a format drops is dropped from the reference too.
func TestFormats(t *testing.T) {
	r := drawn(t)
	for _, c := range everyConsole(t) {
		if !oneOf(24, r) {
			continue
		}
		rs := records(c.log)
		whole, bare := names(Find(plain(rs))), names(Find(plain(anonymous(rs))))
		for _, f := range formats {
			if !oneOf(4, r) {
				continue
			}
			want := bare
			if f.caller {
				want = whole
			}
			if !f.stamp && slices.ContainsFunc(want, isReboot) {
				continue // without the time, a banner is the first one
			}
			if got := names(Find(f.write(rs))); !slices.Equal(want, got) {
				t.Errorf("%s as %s: %q\n\twant %q", c.name, f.name, got, want)
			}
		}
	}
}

// disturbances are what happens to a console on its way to us without losing
// a message.
var disturbances = []struct {
	name string
	line func(r *rand.Rand, rec record) string
}{
	{"replayed after a whole line", func(_ *rand.Rand, rec record) string {
		return rec.console() + "\n** replaying previous printk message **\n" + rec.console() + "\n"
	}},
	{"replayed within a line", func(r *rand.Rand, rec record) string {
		line := rec.console()
		return line[:r.IntN(len(line))] + "** replaying previous printk message **\n" + line + "\n"
	}},
	{"replayed after a part of a line", func(r *rand.Rand, rec record) string {
		line := rec.console()
		return line[:len(line)-r.IntN(len(rec.message)+1)] + "\n** replaying previous printk message **\n" + line + "\n"
	}},
	{"junk between lines", func(r *rand.Rand, rec record) string {
		b := make([]byte, r.IntN(40))
		for i := range b {
			if b[i] = byte(r.IntN(256)); b[i] == '\n' || b[i] == '[' {
				b[i] = 0xfe
			}
		}
		return rec.console() + "\n" + string(b) + "\n"
	}},
	{"notices of dropped messages", func(r *rand.Rand, rec record) string {
		if r.IntN(5) > 0 {
			return rec.console() + "\n"
		}
		return fmt.Sprintf("%s\n** %d printk messages dropped **\n", rec.console(), r.IntN(1000))
	}},
	{"another task talks", func(_ *rand.Rand, rec record) string {
		if rec.caller == "" {
			return rec.console() + "\n"
		}
		other := record{rec.usec, "T9999", "storm: f+0x1/0x2 was called"}
		return rec.console() + "\n" + other.console() + "\n"
	}},
}

// inOrder reports whether time doesn't run backwards. Where it does, the log is
// several in one, and what is put into it may seem to come after a report's end.
func inOrder(rs []record) bool {
	return slices.IsSortedFunc(rs, func(a, b record) int { return cmp.Compare(a.usec, b.usec) })
}

// TestDisturbed: disturbances change no finding.
func TestDisturbed(t *testing.T) {
	r := drawn(t)
	for _, c := range everyConsole(t) {
		rs := records(c.log)
		if !oneOf(8, r) || !inOrder(rs) {
			continue
		}
		want := names(Find(plain(rs)))
		for _, d := range disturbances {
			if !oneOf(3, r) {
				continue
			}
			var b strings.Builder
			for _, rec := range rs {
				b.WriteString(d.line(r, rec))
			}
			if got := names(Find([]byte(b.String()))); !slices.Equal(want, got) {
				t.Errorf("%s, %s: %q\n\twant %q", c.name, d.name, got, want)
			}
		}
	}
}

// tagged returns the records as printed by one caller at one moment.
func tagged(rs []record, caller string) []record {
	out := make([]record, len(rs))
	for i, r := range rs {
		out[i] = record{1_000_000, caller, r.message}
	}
	return out
}

// TestInterleaved: with caller ids, two complaints whose lines are mixed at
// random are read as if they stood one after the other.
func TestInterleaved(t *testing.T) {
	r := drawn(t)
	type single struct {
		named
		task string
	}
	// A list of all CPUs' stacks takes in whatever a CPU says, and what is known
	// of locks in one boot explains every hang of it.
	mixes := func(f Finding) bool { return f.Type == TypeHang }
	var all []single
	for _, c := range everyConsole(t) {
		if !oneOf(12, r) {
			continue
		}
		found := Find(plain(tagged(records(c.log), "T1")))
		if len(found) == 1 && found[0].Detector != Reboot.Name && !mixes(found[0]) { // a reboot ends everything
			all = append(all, single{c, found[0].Task})
		}
	}
	for _, a := range all {
		b := all[r.IntN(len(all))]
		if a.task != "" && a.task == b.task { // a task has one stack
			continue
		}
		one, two := tagged(records(a.log), "T101"), tagged(records(b.log), "C2")
		want := append(names(Find(plain(one))), names(Find(plain(two)))...)
		got := names(Find(plain(shuffled(r, one, two))))
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%s with %s: %q\n\twant %q", a.name, b.name, got, want)
		}
	}
}

// shuffled mixes two logs, each of which keeps its order.
func shuffled(r *rand.Rand, a, b []record) []record {
	var mix []record
	for len(a)+len(b) > 0 {
		if r.IntN(len(a)+len(b)) < len(a) {
			mix, a = append(mix, a[0]), a[1:]
		} else {
			mix, b = append(mix, b[0]), b[1:]
		}
	}
	return mix
}

// TestLostLine: a report of which one line, not the first, got lost keeps its
// type, and its title unless it says that it is corrupted or the line was
// decisive: it named the function of the title, or where the title's rule
// looks for it.
func TestLostLine(t *testing.T) {
	r := drawn(t)
	for _, c := range everyConsole(t) {
		if !oneOf(4, r) {
			continue
		}
		log := plain(anonymous(records(c.log)))
		fs := Find(log)
		if len(fs) == 0 {
			continue
		}
		f := fs[0]
		lines := strings.SplitAfter(string(log[f.Start:f.End]), "\n")
		if len(lines) < 4 {
			continue
		}
		i := 1 + r.IntN(len(lines)-2)
		if decisive(f, lines[i]) {
			continue
		}
		rest := strings.Join(slices.Concat(lines[:i], lines[i+1:]), "")
		got := Find(slices.Concat(log[:f.Start], []byte(rest), log[f.End:]))
		switch {
		case len(got) == 0:
			t.Errorf("%s without %q: nothing, want %q", c.name, lines[i], f.Title)
		case !got[0].Corrupted && (got[0].Title != f.Title || got[0].Type != f.Type):
			t.Errorf("%s without %q: %q %s, want %q %s", c.name, lines[i], got[0].Title, got[0].Type, f.Title, f.Type)
		}
	}
}

// decisive reports whether the title may depend on the line alone.
func decisive(f Finding, line string) bool {
	l := lex([]byte(strings.TrimSuffix(line, "\n")))
	e, ok := classify(l.Message)
	if ok && (e.kind == trace || e.kind == located || e.kind == interrupt) {
		return true // which stack is the complaint's
	}
	if ok && (dispatchers.MatchString(frame.Bare(e.fn)) || crossCalls.MatchString(e.fn) || callsMapping(e.fn) || timerEntry.MatchString(e.fn)) {
		return true // what called the function of a stall's title
	}
	if strings.Contains(l.Message, "already holding lock") {
		return true // what the next line is
	}
	for _, title := range append(f.Alt, f.Title) {
		_, fn, ok := cutCulprit(title)
		fn, _, _ = strings.Cut(fn, "/")
		if ok && strings.Contains(l.Message, strings.TrimPrefix(fn, "sys_")) {
			return true
		}
	}
	return false
}
