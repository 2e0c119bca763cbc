// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/schedule"
	"plugstorm/harness/verdict"
	"plugstorm/harness/vm"
	"plugstorm/images"
)

// drawFlags draws a run that checkFlags lets pass, of files below dir.
func drawFlags(t *rapid.T, dir string) *runFlags {
	f := &runFlags{accel: rapid.SampledFrom([]string{"auto", "kvm", "tcg"}).Draw(t, "accel")}
	f.seed = rapid.Int64Min(0).Draw(t, "seed")
	f.duration = time.Duration(rapid.Int64Range(1, int64(100*time.Hour)).Draw(t, "duration"))
	f.ignoreDefects = rapid.Bool().Draw(t, "ignore defects")
	file := func(label string) string {
		// Names that a shell, a flag parser or a list would take for something else.
		name := rapid.StringOfN(rapid.RuneFrom([]rune("ab -=,'\"$\\*\n\u05e9")), 1, 6, -1).Draw(t, label)
		path := filepath.Join(dir, "f"+name+"f")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	f.rules = rapid.SampledFrom([]string{"default", "none", file("rules")}).Draw(t, "rules")
	f.widen = rapid.SliceOfN(rapid.SampledFrom([]string{"kernfs_drain=500", "f=0"}), 0, 2).Draw(t, "widen")
	f.focus = rapid.SliceOfN(rapid.SampledFrom([]string{"mm/slub.c", "kernel/cgroup/", "f", "mm/a.c:g"}), 0, 2).Draw(t, "focus")
	switch rapid.IntRange(0, 3).Draw(t, "kernel") {
	case 0:
		f.kernel = "stock"
	case 1:
		f.kernel = file("kernel image")
	case 2:
		f.tree = file("tree")
		fallthrough
	default:
		for range rapid.IntRange(0, 3).Draw(t, "patches") {
			f.patches = append(f.patches, file("patch"))
		}
		f.plants = rapid.SliceOfN(rapid.SampledFrom([]string{"s0a", "s4d"}), 0, 2).Draw(t, "plants")
		f.features = rapid.SliceOfN(rapid.SampledFrom([]string{"kasan", "lockstat"}), 0, 2).Draw(t, "features")
	}
	return f
}

// TestCommandParsesBack: the recorded command line of a run means the run.
func TestCommandParsesBack(t *testing.T) {
	dir := t.TempDir()
	a, _, _ := testApp("")
	rapid.Check(t, func(t *rapid.T) {
		f := drawFlags(t, dir)
		baselined := f.kernel == "" && rapid.Bool().Draw(t, "baselined")
		f.baseline = baselined && rapid.Bool().Draw(t, "baseline")
		p := &plan{
			flags: f, seed: f.seed, duration: f.duration,
			scenario: rapid.SampledFrom(schedule.Scenarios.All()).Draw(t, "suite"),
		}
		var err error
		if p.source, err = f.source(baselined); err != nil {
			t.Fatal(err)
		}
		machine := rapid.SampledFrom(vm.Machines.Names()).Draw(t, "machine")
		words := f.command(p, machine, f.seed)
		got, gotBaselined, err := a.parseRun(words)
		if err != nil {
			t.Fatalf("%q: %v", words, err)
		}
		want := *f
		want.machines, want.suite, want.known, want.vms = []string{machine}, p.scenario.Name, "default", 1
		if diff := cmp.Diff(&want, got, cmp.AllowUnexported(runFlags{}), cmp.Transformer("list", emptyIsNil)); diff != "" || gotBaselined != baselined {
			t.Fatalf("%q: baselined %v, want %v; %s", words, gotBaselined, baselined, diff)
		}
		if err := checkFlags(got, len(got.machines)); err != nil {
			t.Fatalf("%q: %v", words, err)
		}
	})
}

func emptyIsNil(list []string) string { return fmt.Sprintf("%q", list) }

// TestCommandOfAllMachines: without a machine the command names those asked
// for, none if it is the default.
func TestCommandOfAllMachines(t *testing.T) {
	p := &plan{scenario: schedule.Scenarios.All()[0], seed: 1, duration: time.Minute}
	for _, machines := range [][]string{nil, {"x86_64"}, {"pseries", "x86_64"}} {
		f := &runFlags{machines: machines, accel: "auto"}
		a, _, _ := testApp("")
		got, _, err := a.parseRun(f.command(p, "", 1))
		if err != nil || fmt.Sprint(got.machines) != fmt.Sprint(machines) {
			t.Errorf("%q became %q, %v", machines, got.machines, err)
		}
	}
}

// TestPathsBecomeAbsolute: the recorded command works from anywhere.
func TestPathsBecomeAbsolute(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	f := &runFlags{kernel: "bzImage", tree: "linux", patches: []string{"a.patch", "/b.patch"}}
	s, err := f.source(false)
	if err != nil {
		t.Fatal(err)
	}
	want := images.Source{Tree: here + "/linux", Patches: []string{here + "/a.patch", "/b.patch"}}
	if diff := cmp.Diff(want, s); diff != "" || f.kernel != here+"/bzImage" {
		t.Errorf("kernel %s, %s", f.kernel, diff)
	}
	stock := &runFlags{kernel: "stock"}
	if _, err := stock.source(true); err != nil || stock.kernel != "stock" {
		t.Errorf("%s, %v", stock.kernel, err)
	}
}

func TestParseRunErrors(t *testing.T) {
	a, _, _ := testApp("")
	for _, words := range [][]string{
		nil, {"plugstorm"}, {"plugstorm", "judge", "x"}, {"rm", "run"}, {"plugstorm", "run", "--loud"},
		{"plugstorm", "run", "--seed", "x"}, {"plugstorm", "run", "--tree", "/nowhere/linux"},
		{"plugstorm", "run", "--patch", "/nowhere/a.patch"}, {"plugstorm", "run", "--kernel", "/nowhere/bzImage"},
		{"plugstorm", "run", "--help"},
	} {
		if _, _, err := a.parseRun(words); blame.Of(err) != blame.User {
			t.Errorf("%q: %v", words, err)
		}
	}
}

func TestBackportsSource(t *testing.T) {
	for _, tt := range []struct{ name, targets, want string }{
		{"none", "", ""},
		{"another release", "http://deb.debian.org/debian/|trixie|\n", ""},
		{"updates only", "http://deb.debian.org/debian/|bookworm-updates|\nhttp://security.debian.org/|bookworm-security|\n", ""},
		{"plain", "http://deb.debian.org/debian/|bookworm|\n", "deb http://deb.debian.org/debian bookworm-backports main\n"},
		{"signed", "http://mirror/debian|bookworm|/usr/share/keyrings/debian-archive-keyring.gpg\n",
			"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror/debian bookworm-backports main\n"},
		{"signed by nobody knows whom", "http://mirror/debian|bookworm|$(SIGNED_BY)\n", "deb http://mirror/debian bookworm-backports main\n"},
		{"the first of several", "x\n\n|\nhttp://s/|bookworm-security|\n  http://a/|bookworm|  \nhttp://b/|bookworm|\n", "deb http://a bookworm-backports main\n"},
		{"too many fields", "http://a/|bookworm|key|more\n", ""},
		{"no address", "|bookworm|\n", ""},
	} {
		got, ok := backportsSource(tt.targets)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, ok, tt.want)
		}
	}
}

// TestBackportsSourceIsOneLine: whatever apt says, the list is one source from
// one of the lines, with our suite and component.
func TestBackportsSourceIsOneLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("|\n \tabookworm/:[]="))).Draw(t, "targets") + rapid.SampledFrom([]string{"", "\nhttp://a/|bookworm|k\n"}).Draw(t, "end")
		line, ok := backportsSource(text)
		if !ok {
			return
		}
		if strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "deb ") || !strings.HasSuffix(line, " bookworm-backports main\n") {
			t.Fatalf("%q of %q", line, text)
		}
	})
}

func TestAsk(t *testing.T) {
	for answer, want := range map[string]bool{
		"y\n": true, "yes\n": true, " YES \n": true, "y": true, "n\n": false, "\n": false, "": false, "yesterday\n": false, "\ny\n": false,
	} {
		a, _, stderr := testApp(answer)
		if got := a.ask("install them?"); got != want {
			t.Errorf("%q: %v", answer, got)
		}
		if stderr.String() != "install them? [y/N] " {
			t.Errorf("asked %q", stderr)
		}
	}
}

// TestTidy: what was made for a run goes when nothing of it was recorded, and
// nothing else does.
func TestTidy(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("there/empty", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		out      string
		recorded bool
		gone     []string
		stays    []string
	}{
		{"a/b/c", false, []string{"a"}, nil},
		{"a/b/c", true, nil, []string{"a/b/c/history.ndjson"}},
		{"a/b/d", false, []string{"a/b/d"}, []string{"a/b"}},
		{"there/new", false, []string{"there/new"}, []string{"there"}},
		{"there/empty", false, nil, []string{"there/empty"}},
		{"", false, []string{"plugstorm-runs"}, nil},
	} {
		p := &plan{seed: 7}
		if err := p.makeDir(tt.out); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(p.dir); err != nil || !info.IsDir() || !filepath.IsAbs(p.dir) {
			t.Fatalf("%s: %v", p.dir, err)
		}
		if tt.recorded {
			if err := os.WriteFile(filepath.Join(p.dir, history.File), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p.tidy()
		for _, path := range tt.gone {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("--out %s: %s is left: %v", tt.out, path, err)
			}
		}
		for _, path := range tt.stays {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("--out %s: %v", tt.out, err)
			}
		}
	}
}

func TestFits(t *testing.T) {
	s := &schedule.Scenario{Name: "smoke", Lanes: []schedule.Lane{{Name: "a"}, {Name: "b"}}}
	if err := fits(s, []schedule.Step{{Lane: "b"}, {Lane: "a"}}); err != nil {
		t.Error(err)
	}
	if err := fits(s, nil); err != nil {
		t.Error(err)
	}
	if err := fits(s, []schedule.Step{{Lane: "a"}, {Lane: "c"}}); blame.Of(err) != blame.User || !strings.Contains(err.Error(), `step 1: suite smoke has no lane "c"`) {
		t.Error(err)
	}
}

// TestExitCodes: the code of a verdict wins over everything that was told
// before it; a fault that isn't the user's is never 2.
func TestExitCodes(t *testing.T) {
	for status, want := range map[verdict.Status]int{verdict.Found: 1, verdict.Unknown: 3} {
		a, _, stderr := testApp("")
		if got := a.exitCode(t.Context(), errors.Join(errors.New("x"), verdictError{status})); got != want || stderr.Len() > 0 {
			t.Errorf("%s: %d, %q", status, got, stderr)
		}
	}
	for party, want := range map[blame.Party]int{blame.User: 2, blame.Host: 3, blame.Harness: 3, blame.Hypervisor: 3, blame.Kernel: 3} {
		a, _, stderr := testApp("")
		if got := a.exitCode(t.Context(), blame.Errorf(party, "do this", "that")); got != want {
			t.Errorf("%s: %d, want %d", party, got, want)
		}
		if says := strings.Contains(stderr.String(), "fault: "+string(party)); says == (party == blame.User) {
			t.Errorf("%s: %s", party, stderr)
		}
	}
}
