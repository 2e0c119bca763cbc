// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"plugstorm/harness/blame"
	"plugstorm/harness/detect"
	"plugstorm/harness/known"
	"plugstorm/harness/rules"
	"plugstorm/harness/schedule"
	"plugstorm/harness/splat"
	"plugstorm/harness/verdict"
	"plugstorm/harness/vm"
	"plugstorm/images"
)

// TestPlantsNameWhatThereIs: suites, machines and known issues in the plants'
// headers exist.
func TestPlantsNameWhatThereIs(t *testing.T) {
	for _, p := range images.Plants() {
		if _, err := schedule.Scenarios.Get(p.Expect.Suite); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		for _, name := range slices.Concat(p.Expect.Machines, p.Expect.Silent) {
			if _, err := vm.Machines.Get(name); err != nil {
				t.Errorf("%s: %v", p.Name, err)
			}
		}
		for _, id := range p.Expect.Despite {
			if !slices.ContainsFunc(known.Default().Issues, func(i *known.Issue) bool { return i.ID == id }) {
				t.Errorf("%s: no known issue %q", p.Name, id)
			}
		}
	}
}

// TestSuitesNameWhatThereIs: so do the userlands of suites.
func TestSuitesNameWhatThereIs(t *testing.T) {
	for _, s := range schedule.Scenarios.All() {
		if _, err := images.Userlands.Get(s.Userland); s.Userland != "" && err != nil {
			t.Errorf("suite %s: %v", s.Name, err)
		}
	}
	if want := []string{oneLane, "rcutorture", "selftests", "stress-ng"}; !slices.Equal(peerNames(), want) {
		t.Errorf("peers %q, want %q", peerNames(), want)
	}
}

// A fakeWorld is what a bench does things to.
type fakeWorld struct {
	mu       sync.Mutex
	prepared []string
	runs     []string
	atOnce   int
	most     int
	prepare  func(*plan) error
	run      func(c detect.Cell, seed int64, attempt int) (verdict.Status, error)
}

// newFakeBench makes a bench of arguments whose kernels and guests are fake.
func newFakeBench(t *testing.T, w *fakeWorld, args ...string) (b *bench, stdout, stderr *strings.Builder) {
	t.Helper()
	a, stdout, stderr := testApp("")
	f, flags := &benchFlags{}, pflag.NewFlagSet("", pflag.ContinueOnError)
	f.define(flags)
	if err := errors.Join(flags.Parse(args), f.recall(flags)); err != nil {
		t.Fatal(err)
	}
	b, err := a.newBench(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.open(flags); err != nil {
		t.Fatal(err)
	}
	b.prepare = func(_ context.Context, p *plan) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.prepared = append(w.prepared, fmt.Sprint(p.machines[0].Name, " ", p.source.Plants, len(p.source.Patches)))
		if w.prepare != nil {
			return w.prepare(p)
		}
		return nil
	}
	b.tell = func(context.Context, *plan) error { return nil }
	b.run = w.do
	return b, stdout, stderr
}

func (w *fakeWorld) do(_ context.Context, p *plan, c detect.Cell, dir string) (detect.Result, error) {
	w.mu.Lock()
	name := fmt.Sprintf("%s %s %d", c.Subject.Name, c.Machine, p.seed)
	attempt := 0
	for _, run := range w.runs {
		if run == name {
			attempt++
		}
	}
	w.runs = append(w.runs, name)
	w.atOnce++
	w.most = max(w.most, w.atOnce)
	w.mu.Unlock()
	defer func() { w.mu.Lock(); w.atOnce--; w.mu.Unlock() }()
	status, err := w.run(c, p.seed, attempt)
	r := detect.Result{
		Version: detect.Version, Subject: c.Subject.Name, Machine: c.Machine, By: c.By, Suite: c.Suite,
		Seed: p.seed, Budget: p.duration, Status: status, Dir: dir, Findings: []verdict.Finding{},
		Reach: &verdict.Reach{Functions: []verdict.Reached{{Called: rules.Called{Calls: 1}}, {}, {Called: rules.Called{Why: "inlined"}}}},
	}
	if status == verdict.Found {
		r.Findings = append(r.Findings, verdict.Finding{Finding: splat.Finding{Title: "possible deadlock in x", Type: "LOCKDEP", Identity: "i"}, At: time.Duration(p.seed) * time.Second})
	}
	return r, err
}

func always(status verdict.Status) func(detect.Cell, int64, int) (verdict.Status, error) {
	return func(detect.Cell, int64, int) (verdict.Status, error) { return status, nil }
}

// benchRows are the rows that --json prints, as "subject machine detected/missed/unknown/unmeasured".
func benchRows(t *testing.T, b *bench, stdout *strings.Builder) (rows []string, err error) {
	t.Helper()
	b.flags.json = true
	stdout.Reset()
	err = b.report()
	var out struct {
		Rows []struct {
			Subject, Machine                      string
			Detected, Missed, Unknown, Unmeasured int
		}
	}
	if e := json.Unmarshal([]byte(stdout.String()), &out); e != nil {
		t.Fatal(e)
	}
	for _, r := range out.Rows {
		rows = append(rows, fmt.Sprintf("%s %s %d/%d/%d/%d", r.Subject, r.Machine, r.Detected, r.Missed, r.Unknown, r.Unmeasured))
	}
	return rows, err
}

func TestBench(t *testing.T) {
	w := &fakeWorld{run: func(c detect.Cell, seed int64, attempt int) (verdict.Status, error) {
		switch {
		case c.Silent || seed == 2:
			return verdict.Clean, nil
		case seed == 3 && attempt == 0, seed == 4:
			return verdict.Unknown, nil
		case seed == 5:
			return "", errors.New("no QEMU")
		}
		return verdict.Found, nil
	}}
	b, stdout, stderr := newFakeBench(t, w, "--plant", "s0b", "--suite", "storm", "--seeds", "5", "--out", filepath.Join(t.TempDir(), "out"))
	if err := b.measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := benchRows(t, b, stdout)
	if !errors.Is(err, errIncomplete) || blame.Of(err) == blame.User {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"s0b pseries 2/1/1/1", "s0b x86_64 0/5/0/0"}, rows); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"pseries [s0b] 0", "x86_64 [s0b] 0"}, w.prepared); diff != "" {
		t.Error(diff)
	}
	if len(w.runs) != 8+5 { // three of pseries' runs told nothing the first time
		t.Errorf("%d runs: %q", len(w.runs), w.runs)
	}
	for _, want := range []string{"s0b on pseries, seed 1: detected 1.0s", "seed 2: missed; reached 1 of 3 changed functions, 1 unknown", "seed 4: unknown", "no QEMU", "s0b on x86_64, seed 1: silent, as it must be"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("nothing is said of %q: %s", want, stderr)
		}
	}
	dirs, err := filepath.Glob(filepath.Join(b.dir, "s0b", "pseries", "plugstorm", "*"))
	if err != nil || len(dirs) != 8 {
		t.Errorf("%q, %v", dirs, err)
	}
}

// TestBenchResume: what told something isn't done again, what was being
// written when it was killed is, and flags can be added.
func TestBenchResume(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	first := &fakeWorld{run: always(verdict.Found)}
	b, _, _ := newFakeBench(t, first, "--plant", "s4d", "--suite", "storm", "--machine", "x86_64", "--seeds", "3", "--out", out)
	if err := b.measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(out, resultsFile)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data[:len(data)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	second := &fakeWorld{run: always(verdict.Clean)}
	b, stdout, _ := newFakeBench(t, second, "--resume", out, "--seeds", "4")
	if err := b.measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"s4d x86_64 3", "s4d x86_64 4"}, second.runs); diff != "" {
		t.Error(diff)
	}
	rows, err := benchRows(t, b, stdout)
	if diff := cmp.Diff([]string{"s4d x86_64 2/2/0/0"}, rows); diff != "" || err != nil {
		t.Error(err, diff)
	}
	third := &fakeWorld{run: always(verdict.Unknown)}
	b, _, _ = newFakeBench(t, third, "--resume", out)
	if err := b.measure(t.Context()); err != nil || len(third.runs)+len(third.prepared) > 0 {
		t.Errorf("%q, %q, %v", third.prepared, third.runs, err)
	}
}

// TestBenchInterrupted: half a run is none.
func TestBenchInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := &fakeWorld{run: func(_ detect.Cell, seed int64, _ int) (verdict.Status, error) {
		if seed == 2 {
			cancel()
		}
		return verdict.Found, nil
	}}
	b, _, _ := newFakeBench(t, w, "--plant", "s4d", "--suite", "storm", "--seeds", "3", "--out", filepath.Join(t.TempDir(), "out"))
	if err := b.measure(ctx); err == nil || len(w.runs) != 2 || len(b.results) != 1 {
		t.Errorf("%v, runs %q, %d results", err, w.runs, len(b.results))
	}
}

// TestBenchGoesOn: a kernel that can't be built costs its own rows only.
func TestBenchGoesOn(t *testing.T) {
	w := &fakeWorld{run: always(verdict.Found), prepare: func(p *plan) error {
		if p.machines[0].Name == "x86_64" {
			return blame.Errorf(blame.User, "", "the patch doesn't apply")
		}
		return nil
	}}
	b, stdout, stderr := newFakeBench(t, w, "--plant", "s4d", "--suite", "storm", "--seeds", "2", "--out", filepath.Join(t.TempDir(), "out"))
	if err := b.measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := benchRows(t, b, stdout)
	if diff := cmp.Diff([]string{"s4d x86_64 0/0/0/2", "s4d pseries 2/0/0/0"}, rows); diff != "" || !errors.Is(err, errIncomplete) {
		t.Error(err, diff)
	}
	if !strings.Contains(stderr.String(), "s4d on x86_64: the patch doesn't apply") {
		t.Error(stderr)
	}
}

// TestBenchJobs: as many guests at a time as were asked for, and no more.
func TestBenchJobs(t *testing.T) {
	var together sync.WaitGroup
	together.Add(2)
	w := &fakeWorld{run: func(_ detect.Cell, seed int64, _ int) (verdict.Status, error) {
		if seed <= 2 {
			together.Done()
			together.Wait()
		}
		return verdict.Found, nil
	}}
	b, _, _ := newFakeBench(t, w, "--plant", "s4d", "--suite", "storm", "--machine", "pseries", "--seeds", "6", "--jobs", "2", "--out", filepath.Join(t.TempDir(), "out"))
	if err := b.measure(t.Context()); err != nil || w.most != 2 || len(w.runs) != 6 {
		t.Errorf("%v, %d at a time, %q", err, w.most, w.runs)
	}
}

// TestBenchPatch: a patch is a kernel of its own, with the baseline, and any
// finding is right.
func TestBenchPatch(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "h1-one.patch"), filepath.Join(dir, "h2-two.patch")
	const diff = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
	for file, text := range map[string]string{one: diff, two: "plant: h2  two\narch: pseries only\nsuite: smoke\n---\n" + diff} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := &fakeWorld{run: always(verdict.Found)}
	b, _, _ := newFakeBench(t, w, "--patch", one, "--patch", two, "--seeds", "1", "--out", filepath.Join(dir, "out"))
	if err := b.measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"h1-one x86_64 1", "h1-one pseries 1", "h2-two pseries 1"}, w.runs); diff != "" {
		t.Error(diff)
	}
	p, err := b.planRun(b.plan.Cells()[2], 1, dir)
	if err != nil {
		t.Fatal(err)
	}
	if p.scenario.Name != "smoke" || p.source.Baseline == nil || !*p.source.Baseline || !slices.Equal(p.source.Patches, []string{two}) || !p.flags.first {
		t.Errorf("%+v of %+v", p.source, p.flags)
	}
}

// TestBenchBadPatch: a patch that no kernel can be built with ends the benchmark
// before anything is run, also for those that are fine, and nothing is left of it;
// what is the host's fault doesn't.
func TestBenchBadPatch(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "h1.patch")
	if err := os.WriteFile(file, []byte("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, party := range []blame.Party{blame.User, blame.Host} {
		w := &fakeWorld{run: always(verdict.Found), prepare: func(p *plan) error {
			if p.machines[0].Name == "pseries" && len(p.source.Patches) > 0 {
				return blame.Errorf(party, "", "it can't be built")
			}
			return nil
		}}
		out := filepath.Join(dir, string(party))
		b, _, _ := newFakeBench(t, w, "--plant", "s4a", "--machine", "x86_64", "--machine", "pseries", "--patch", file, "--seeds", "1", "--out", out)
		runs := 0
		for _, c := range b.plan.Cells() {
			if c.Machine != "pseries" || b.target(c).patch == "" {
				runs++
			}
		}
		err := b.measure(t.Context())
		if party == blame.User {
			if _, statErr := os.Stat(out); blame.Of(err) != blame.User || len(w.runs) > 0 || !errors.Is(statErr, fs.ErrNotExist) {
				t.Errorf("%v, runs %q, its directory: %v", err, w.runs, statErr)
			}
		} else if err != nil || len(w.runs) != runs {
			t.Errorf("%v, runs %q, want %d", err, w.runs, runs)
		}
	}
}

// TestBenchDespite: a known issue that a plant looks like counts.
func TestBenchDespite(t *testing.T) {
	b, _, _ := newFakeBench(t, &fakeWorld{}, "--plant", "c10", "--plant", "s4d", "--suite", "storm", "--machine", "x86_64", "--out", filepath.Join(t.TempDir(), "out"))
	for i, want := range []int{len(b.known.set.Issues) - 1, len(b.known.set.Issues)} {
		p, err := b.planRun(b.plan.Cells()[i], 1, "")
		if err != nil || len(p.known.set.Issues) != want {
			t.Errorf("%v, %d issues, want %d", err, len(p.known.set.Issues), want)
		}
	}
}

func TestBenchErrors(t *testing.T) {
	dir := t.TempDir()
	plain, marked := filepath.Join(dir, "plain.md"), filepath.Join(dir, "marked.md")
	bad := filepath.Join(dir, "bad.patch")
	for file, text := range map[string]string{plain: "x x\n", marked: "<!-- bench detect: table -->\n<!-- end -->\n", bad: "plant: x\nmatch: colour red\n---\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"--seeds", "0"}, {"--first-seed", "-1"}, {"--budget", "0s"}, {"--jobs", "0"}, {"--resume", dir},
		{"--resume", dir, "--out", dir}, {"--plant", "z9"}, {"--patch", filepath.Join(dir, "none.patch")}, {"--patch", bad},
		{"--machine", "sparc"}, {"--suite", "sunday"}, {"--peers", "nobody"}, {"--accel", "warp"}, {"--known", plain},
		{"--plant", "c02", "--suite", "storm", "--machine", "x86_64"}, {"--write-docs", plain}, {"--write-docs", filepath.Join(dir, "none.md")},
		{"--plant", "s4d", "--suite", "storm", "--out", dir, "--write-docs", marked},
		{"surplus"},
	} {
		a, stdout, stderr := testApp("")
		if code := execute(t.Context(), a, append([]string{"bench", "detect"}, args...)); code != 2 || stderr.Len() == 0 || stdout.Len() > 0 {
			t.Errorf("%q: exit code %d: %s%s", args, code, stderr, stdout)
		}
	}
}

// TestBenchWritesPages: the tables of a page are rewritten, and nothing else.
func TestBenchWritesPages(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "page.md")
	const text = "before\n<!-- bench detect: table -->\nold\n<!-- end -->\nafter\n"
	if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b, _, _ := newFakeBench(t, &fakeWorld{run: always(verdict.Found)}, "--plant", "s4d", "--suite", "storm", "--machine", "x86_64", "--seeds", "1", "--out", filepath.Join(dir, "out"), "--write-docs", page)
	if err := errors.Join(b.measure(t.Context()), b.report()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	s := string(got)
	if !strings.HasPrefix(s, "before\n") || !strings.HasSuffix(s, "\nafter\n") || strings.Contains(s, "old") || !strings.Contains(s, "| s4d | x86_64 | storm | 1/1 |") {
		t.Error(s)
	}
}

func TestCPUModel(t *testing.T) {
	for text, want := range map[string]string{
		"processor\t: 0\nmodel name\t: Big CPU @ 2GHz\nmodel name\t: other\n": "Big CPU @ 2GHz",
		"processor\t: 0\ncpu\t\t: POWER8 (raw)\n":                             "POWER8 (raw)",
		"": "",
	} {
		if got := cpuModel([]byte(text)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
