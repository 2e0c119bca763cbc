// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"plugstorm/harness/blame"
)

// TestMain lets the test binary be a builder that another test kills.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "build" {
		s := &Store{Dir: os.Args[2], Env: os.Environ(), Jobs: 2}
		if _, err := s.Build(context.Background(), X8664, Source{Tree: os.Args[3]}, Options{}); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestBuild(t *testing.T) {
	b := newBench(t)
	before := readTree(t, b.tree)
	k, compiled := b.mustBuild(t, Source{})
	if compiled == "" || k.Name != "6.12.117 (tree my tree: new)" || k.Release != "6.12.117-fake" || k.Prebuilt {
		t.Errorf("kernel %+v, compiled %q", k, compiled)
	}
	image, err := os.ReadFile(k.Image)
	if err != nil || string(image) != "memory\nslub 1\nslub 2\nslub 3\nutil\n" {
		t.Errorf("image %q, %v", image, err)
	}
	for name, want := range map[string]string{"ours": string(image) + "ours\n", "test_hmm": "hmm\n"} {
		if text, err := os.ReadFile(k.Modules[name]); err != nil || string(text) != want {
			t.Errorf("module %s: %q, %v", name, text, err)
		}
	}
	if diff := cmp.Diff(before, readTree(t, b.tree)); diff != "" {
		t.Error("the user's tree was modified:", diff)
	}
	again, compiled := b.mustBuild(t, Source{})
	if compiled != "" || cmp.Diff(k, again) != "" {
		t.Errorf("the second time it compiled %q: %s", compiled, cmp.Diff(k, again))
	}
	if b.seen.fell {
		t.Error("progress went backwards")
	}
}

// Equal inputs in another cache give equal kernels under the same key.
func TestReproducible(t *testing.T) {
	one, two := newBench(t), newBench(t)
	a, _ := one.mustBuild(t, Source{})
	b, _ := two.mustBuild(t, Source{})
	if a.Key != b.Key {
		t.Errorf("keys %s and %s", a.Key, b.Key)
	}
}

// Whatever goes in changes the key.
func TestKeys(t *testing.T) {
	b := newBench(t)
	keys := map[string]string{}
	note := func(what string, k *Kernel, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if other, ok := keys[k.Key]; ok {
			t.Errorf("%s has the key of %s", what, other)
		}
		keys[k.Key] = what
	}
	k, err := b.build(t, Source{})
	note("base", k, err)
	k, err = b.build(t, Source{Patches: []string{b.patchFile(t, "one.patch", "one")}})
	note("patch", k, err)
	k, err = b.Build(t.Context(), X8664, Source{Tree: b.tree}, Options{Features: []string{"lockstat"}})
	note("feature", k, err)
	k, err = b.Build(t.Context(), PPC64LE, Source{Tree: b.tree}, Options{})
	note("architecture", k, err)
	b.Modules = fstest.MapFS{"ours.c": {Data: []byte("ours, better\n")}}
	k, err = b.build(t, Source{})
	note("modules", k, err)
	b.edit(t, "mm/util.c", "better\n")
	k, err = b.build(t, Source{})
	note("source", k, err)
}

// A patched kernel compiles what the patch touches, and nothing else; so does
// the next patch, which is built on the unpatched one.
func TestPatchReusesObjects(t *testing.T) {
	b := newBench(t)
	base, _ := b.mustBuild(t, Source{})
	for _, text := range []string{"one", "two"} {
		k, compiled := b.mustBuild(t, Source{Patches: []string{b.patchFile(t, text+".patch", text)}})
		image, err := os.ReadFile(k.Image)
		if err != nil || string(image) != "memory\nslub 1\n"+text+"\nslub 3\nutil\n" {
			t.Errorf("image %q, %v", image, err)
		}
		if compiled != "mm/slub.o" {
			t.Errorf("compiled %q", compiled)
		}
		if want := "6.12.117 +" + text + ".patch (tree my tree: new)"; k.Name != want {
			t.Errorf("name %q, want %q", k.Name, want)
		}
	}
	if image, err := os.ReadFile(base.Image); err != nil || !strings.Contains(string(image), "slub 2") {
		t.Errorf("the base kernel changed: %q, %v", image, err)
	}
}

// A finished build that somebody is using is waited for: compiling in full
// takes far longer.
func TestSeedInUse(t *testing.T) {
	b := newBench(t)
	b.mustBuild(t, Source{})
	trees, err := b.workTrees()
	if err != nil || len(trees) != 1 {
		t.Fatal(trees, err)
	}
	held, err := b.lock(t.Context(), "build-"+filepath.Base(trees[0].dir), "at work", exclusive)
	if err != nil {
		t.Fatal(err)
	}
	b.seen.lines = make(chan string)
	go func() {
		for line := range b.seen.lines {
			if strings.Contains(line, "at work") {
				held.unlock()
			}
		}
	}()
	_, compiled := b.mustBuild(t, Source{Patches: []string{b.patchFile(t, "one.patch", "one")}})
	close(b.seen.lines)
	if compiled != "mm/slub.o" {
		t.Errorf("compiled %q", compiled)
	}
}

// Edits of the user's tree compile what changed, deletions and reverts too.
func TestEditReusesObjects(t *testing.T) {
	b := newBench(t)
	b.mustBuild(t, Source{})
	for _, step := range []struct{ file, text, want string }{
		{"mm/util.c", "better\n", "mm/util.o"},
		{"mm/util.c", "util\n", ""}, // back: the first kernel is still there
		{"mm/new.c", "new\n", "mm/new.o"},
		{"README", "other\n", ""},
	} {
		b.edit(t, step.file, step.text)
		k, compiled := b.mustBuild(t, Source{})
		if compiled != step.want {
			t.Errorf("%s = %q: compiled %q, want %q", step.file, step.text, compiled, step.want)
		}
		if image, err := os.ReadFile(k.Image); err != nil || step.file != "README" && !strings.Contains(string(image), step.text) {
			t.Errorf("%s: image %q, %v", step.file, image, err)
		}
	}
}

// New modules don't rebuild the kernel.
func TestModulesOnly(t *testing.T) {
	b := newBench(t)
	old, _ := b.mustBuild(t, Source{})
	b.Modules = fstest.MapFS{"ours.c": {Data: []byte("better\n")}, "more.c": {Data: []byte("more\n")}}
	k, compiled := b.mustBuild(t, Source{})
	if compiled != "" || k.Key == old.Key || len(k.Modules) != 3 {
		t.Errorf("compiled %q, modules %v", compiled, k.Modules)
	}
	if text, err := os.ReadFile(k.Modules["ours"]); err != nil || !strings.HasSuffix(string(text), "better\n") {
		t.Errorf("module %q, %v", text, err)
	}
}

// TestModuleParts: a directory's C files are one module, and a header that they
// include is as much a part of the kernel's key as they are.
func TestModuleParts(t *testing.T) {
	b := newBench(t)
	files := fstest.MapFS{
		"ours.c": {Data: []byte("ours\n")}, "more/b.c": {Data: []byte("b\n")}, "more/a.c": {Data: []byte("a\n")}, "more/a.mod.c": {},
		"common.h": {Data: []byte("h\n")}, "more/more.h": {Data: []byte("m\n")},
	}
	b.Modules = files
	old, _ := b.mustBuild(t, Source{})
	if text, err := os.ReadFile(old.Modules["more"]); err != nil || !strings.HasSuffix(string(text), "a\nb\n") {
		t.Errorf("module %q, %v", text, err)
	}
	for _, header := range []string{"common.h", "more/more.h"} {
		changed := maps.Clone(files)
		changed[header] = &fstest.MapFile{Data: []byte("changed\n")}
		b.Modules = changed
		if k, compiled := b.mustBuild(t, Source{}); k.Key == old.Key || compiled != "" {
			t.Errorf("%s changed: key %s as before, or compiled %q", header, k.Key, compiled)
		}
	}
	b.Modules = files
	if k, _ := b.mustBuild(t, Source{}); k.Key != old.Key {
		t.Errorf("key %s, was %s", k.Key, old.Key)
	}
}

func TestBuildErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, b *bench, src *Source)
		party   blame.Party
		want    []string
	}{
		"no tree": {func(t *testing.T, b *bench, _ *Source) { b.tree = "/nonexistent" }, blame.User, []string{"no kernel tree", "/nonexistent"}},
		"no kernel": {func(t *testing.T, b *bench, _ *Source) { b.edit(t, "Makefile", "all:\n") },
			blame.User, []string{"no kernel tree", "VERSION"}},
		"half a kernel": {func(t *testing.T, b *bench, _ *Source) { os.Remove(filepath.Join(b.tree, "Kconfig")) },
			blame.User, []string{"no complete kernel tree", "Kconfig"}},
		"option unmet": {func(t *testing.T, b *bench, _ *Source) {
			b.edit(t, "scripts/kconfig/unmet", "CONFIG_SMP\nCONFIG_PREEMPT\n")
		}, blame.User, []string{
			"CONFIG_SMP=y, asked for by common.config, is not set (depends on EVERYTHING)",
			"CONFIG_PREEMPT=y, asked for by common.config, is unknown to this kernel",
		}},
		"broken source": {func(t *testing.T, b *bench, _ *Source) { b.edit(t, "mm/util.c", "BROKEN\n") },
			blame.User, []string{"mm/util.c:1:2: error: BROKEN is undeclared"}},
		"patch doesn't apply": {func(t *testing.T, b *bench, src *Source) {
			src.Patches = []string{b.patchFile(t, "fix.patch", "x")}
			b.edit(t, "mm/slub.c", "slub 1\nother\nslub 3\n")
		}, blame.User, []string{"fix.patch", "mm/slub.c, hunk 1", "6.12.117"}},
		"patch missing": {func(t *testing.T, b *bench, src *Source) { src.Patches = []string{"/nonexistent.patch"} },
			blame.User, []string{"/nonexistent.patch"}},
		"plant doesn't apply": {func(t *testing.T, b *bench, src *Source) { src.Plants = []string{"s0a"} },
			blame.User, []string{"baseline patch b1", "mm/memory_hotplug.c"}},
		"unknown plant":     {func(t *testing.T, b *bench, src *Source) { src.Plants = []string{"nothing"} }, blame.User, []string{`unknown plant "nothing"`}},
		"ambiguous plant":   {func(t *testing.T, b *bench, src *Source) { src.Plants = []string{"s0"} }, blame.User, []string{`ambiguous plant "s0"`}},
		"no compiler":       {func(t *testing.T, b *bench, _ *Source) { b.Env = []string{"PATH=/nonexistent"} }, blame.Host, []string{"needs make, gcc, flex"}},
		"space in cache":    {func(t *testing.T, b *bench, _ *Source) { b.Dir += " x" }, blame.User, []string{`' '`}},
		"relative cache":    {func(t *testing.T, b *bench, _ *Source) { b.Dir = "cache" }, blame.User, []string{"absolute"}},
		"cache is no place": {func(t *testing.T, b *bench, _ *Source) { b.Dir = "/dev/null/x" }, blame.Host, []string{"/dev/null"}},
	} {
		t.Run(name, func(t *testing.T) {
			b, src := newBench(t), Source{}
			tc.prepare(t, b, &src)
			_, err := b.build(t, src)
			if err == nil || blame.Of(err) != tc.party || blame.Next(err) == "" {
				t.Fatalf("error %v of %q, next step %q", err, blame.Of(err), blame.Next(err))
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error should contain %q:\n%v", want, err)
				}
			}
			if kernels, _ := filepath.Glob(filepath.Join(b.Dir, "kernels", "*")); len(kernels) > 0 {
				t.Errorf("left over: %v", kernels)
			}
		})
	}
}

// gate makes a source block the build until it is opened.
func (b *bench) gate(t *testing.T) string {
	t.Helper()
	gate := filepath.Join(b.home, "gate")
	if err := syscall.Mkfifo(gate, 0o644); err != nil {
		t.Fatal(err)
	}
	b.edit(t, "mm/util.c", "WAIT\n")
	return gate
}

// open waits until the build blocks at the gate, and returns its other side:
// the build goes on when that is closed.
func open(t *testing.T, gate string) *os.File {
	t.Helper()
	f, err := os.OpenFile(gate, os.O_WRONLY, 0) // blocks until there is a reader
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// interrupt begins a build, and cancels it when it is at the gate.
func (b *bench) interrupt(t *testing.T, gate string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := b.Build(ctx, X8664, Source{Tree: b.tree}, Options{})
		done <- err
	}()
	defer open(t, gate).Close()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

// nobodyReads insists that no process has the gate open: nothing of the build
// is left running.
func nobodyReads(t *testing.T, gate string) {
	t.Helper()
	f, err := os.OpenFile(gate, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err == nil {
		f.Close()
	}
	if !errors.Is(err, syscall.ENXIO) {
		t.Errorf("somebody still reads the gate: %v", err)
	}
}

func TestInterrupt(t *testing.T) {
	b := newBench(t)
	b.Jobs = 1 // all before the gate is finished, nothing else is under way
	gate := b.gate(t)
	b.interrupt(t, gate)
	nobodyReads(t, gate)

	done := make(chan error)
	go func() {
		f, err := os.OpenFile(gate, os.O_WRONLY, 0)
		if err == nil {
			err = f.Close()
		}
		done <- err
	}()
	k, err := b.build(t, Source{})
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(k.Image); err != nil {
		t.Error(err)
	}
	if n := strings.Count(b.compiled(), "mm/memory.o"); n != 1 {
		t.Errorf("mm/memory.o was compiled %d times: %s", n, b.compiled())
	}
}

// A builder that is killed leaves nothing running and nothing that is taken
// for whole; the next one goes on where it stopped.
func TestKilled(t *testing.T) {
	b := newBench(t)
	gate := b.gate(t)
	b.Modules = nil // as the helper
	helper := exec.Command(os.Args[0], "build", b.Dir, b.tree)
	helper.Env = b.Env
	var out bytes.Buffer
	helper.Stdout, helper.Stderr = &out, &out
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	f := open(t, gate)
	if err := helper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	helper.Wait()
	// The orphaned make gets SIGTERM, and passes it on. poll(2) reports an error
	// on a fifo whose last reader is gone.
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(f.Fd())}}, int(time.Minute.Milliseconds()))
	if n != 1 || err != nil {
		t.Fatalf("the orphaned build didn't end: %d, %v", n, err)
	}
	f.Close()
	done := make(chan error)
	go func() {
		_, err := b.Build(t.Context(), X8664, Source{Tree: b.tree}, Options{})
		done <- err
	}()
	open(t, gate).Close()
	if err := <-done; err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	nobodyReads(t, gate)
}

// Two builders of the same kernel: one builds, the other one says what it
// waits for and takes the result.
func TestTwoBuilders(t *testing.T) {
	b := newBench(t)
	gate := b.gate(t)
	type result struct {
		k   *Kernel
		err error
	}
	results := make(chan result)
	start := func(s Store) {
		k, err := s.Build(t.Context(), X8664, Source{Tree: b.tree}, Options{})
		results <- result{k, err}
	}
	go start(*b.Store)
	f := open(t, gate)
	second := *b.Store
	lines := make(chan string, 8)
	second.Progress = &recorder{lines: lines}
	go start(second)
	select {
	case line := <-lines:
		if !strings.Contains(line, "waiting for process") || !strings.Contains(line, "building kernel") {
			t.Errorf("the second builder says %q", line)
		}
	case <-time.After(time.Minute):
		t.Fatal("the second builder doesn't wait")
	}
	f.Close()
	one, two := <-results, <-results
	if one.err != nil || two.err != nil {
		t.Fatal(one.err, two.err)
	}
	if diff := cmp.Diff(one.k, two.k); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(b.compiled(), "mm/memory.o"); n != 1 {
		t.Errorf("compiled %d times: %s", n, b.compiled())
	}
}

// Waiting for a lock ends with the context.
func TestWaitEnds(t *testing.T) {
	b := newBench(t)
	if err := b.prepare(); err != nil {
		t.Fatal(err)
	}
	held, err := b.lock(t.Context(), "x", "being held", exclusive)
	if err != nil {
		t.Fatal(err)
	}
	defer held.unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l, err := b.lock(ctx, "x", "", shared); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v", l, err)
	}
}

func TestDropTorn(t *testing.T) {
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{"whole.o": "", ".whole.o.cmd": "", "sub/torn.o": "", "sub/.torn.o.cmd": "", "first.o": "", ".gone.o.cmd": ""})
	at := time.Now().Add(-time.Hour)
	for name, age := range map[string]time.Duration{"whole.o": 2, ".whole.o.cmd": 1, "sub/torn.o": 1, "sub/.torn.o.cmd": 2} {
		if err := os.Chtimes(filepath.Join(dir, name), at, at.Add(-age*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if err := dropTorn(dir); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"whole.o": "", ".whole.o.cmd": "", "sub/.torn.o.cmd": "", "first.o": "", ".gone.o.cmd": ""}
	if diff := cmp.Diff(want, readTree(t, dir)); diff != "" {
		t.Error(diff)
	}
}
