// SPDX-License-Identifier: Apache-2.0

package images

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"plugstorm/harness/blame"
)

func (b *bench) kinds(t *testing.T) map[string]int {
	t.Helper()
	entries, err := b.List()
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, e := range entries {
		n[e.Kind]++
		if e.Bytes <= 0 || e.Name == "" || e.Used.IsZero() {
			t.Errorf("entry %+v", e)
		}
	}
	return n
}

func TestListAndGC(t *testing.T) {
	b := newBench(t)
	k, _ := b.mustBuild(t, Source{})
	if n := b.kinds(t); n["kernel"] != 1 || n["work tree"] != 1 || n["source"] != 1 {
		t.Errorf("entries %v", n)
	}
	if err := os.MkdirAll(b.path("src", "dead.part"), 0o755); err != nil {
		t.Fatal(err)
	}
	if freed, err := b.GC(t.Context(), GCPolicy{OlderThan: time.Hour}); err != nil || freed < 0 || !exists(k.Image) || exists(b.path("src", "dead.part")) {
		t.Errorf("young things: freed %d, %v", freed, err)
	}
	held, err := b.lock(t.Context(), "build-"+onlyName(t, b.path("build")), "test", exclusive)
	if err != nil {
		t.Fatal(err)
	}
	freed, err := b.GC(t.Context(), GCPolicy{Keep: 1})
	if n := b.kinds(t); err != nil || freed <= 0 || n["kernel"] != 1 || n["work tree"] != 1 || n["source"] != 0 {
		t.Errorf("freed %d, %v, left %v; want the kept kernel and the locked work tree", freed, err, n)
	}
	held.unlock()
	if _, err := b.GC(t.Context(), GCPolicy{}); err != nil || len(b.kinds(t)) != 0 {
		t.Errorf("left %v, %v", b.kinds(t), err)
	}
	if again, _ := b.mustBuild(t, Source{}); again.Key != k.Key {
		t.Errorf("another key after GC: %s", again.Key)
	}
}

// Unfinished things belong to the lock of the finished ones, and stay while it
// is held.
func TestGCLeavesUnfinished(t *testing.T) {
	b := newBench(t)
	if err := b.prepare(); err != nil {
		t.Fatal(err)
	}
	for part, lock := range map[string]string{
		"debian/linux-source-6.12.part": "debian-linux-source-6.12", "debian/linux-source-6.12.part-deb.part": "debian-linux-source-6.12",
		"kernels/0123.part": "kernel-0123", "initramfs/0123.cpio.77.part": "initramfs-0123", "build/0123.gone.part": "build-0123",
		"build/0124": "build-0124", // interrupted before it was ready
	} {
		if err := os.MkdirAll(b.path(part), 0o755); err != nil {
			t.Fatal(err)
		}
		held, err := b.lock(t.Context(), lock, "test", exclusive)
		if err != nil {
			t.Fatal(err)
		}
		for _, stays := range []bool{true, false} {
			if _, err := b.GC(t.Context(), GCPolicy{}); err != nil || exists(b.path(part)) != stays {
				t.Errorf("%s: there %v, %v; want %v", part, exists(b.path(part)), err, stays)
			}
			held.unlock()
		}
	}
}

func onlyName(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%s: %v, %v", dir, entries, err)
	}
	return entries[0].Name()
}

// Work trees of patched kernels are pruned, the kernels stay.
func TestPrune(t *testing.T) {
	b := newBench(t)
	b.KeepTrees = 2
	for i := range 4 {
		b.edit(t, "mm/util.c", fmt.Sprintf("util %d\n", i))
		b.mustBuild(t, Source{})
	}
	if n := b.kinds(t); n["kernel"] != 4 || n["work tree"] != 2 || n["source"] != 2 {
		t.Errorf("entries %v", n)
	}
}

// A build that was interrupted keeps its work tree however many others are made,
// and is gone on with. Trees that nobody can go on with go.
func TestPruneKeepsInterrupted(t *testing.T) {
	b := newBench(t)
	b.KeepTrees = 1
	if err := b.prepare(); err != nil {
		t.Fatal(err)
	}
	for name, st := range map[string]workState{
		"older": {Ready: true, Boot: bootID()}, "booted": {Ready: true, Boot: "before the host was booted"}, "vague": {Boot: bootID()},
	} {
		w := &workTree{dir: b.path("build", name), state: st}
		if err := errors.Join(os.Mkdir(w.dir, 0o755), w.save(), os.Chtimes(filepath.Join(w.dir, "state.json"), time.Time{}, time.Unix(1, 0))); err != nil {
			t.Fatal(err)
		}
	}
	gate := b.gate(t)
	b.interrupt(t, gate)
	for i := range 3 {
		b.edit(t, "mm/util.c", fmt.Sprintf("util %d\n", i))
		b.mustBuild(t, Source{})
	}
	for _, name := range []string{"older", "booted", "vague"} {
		if exists(b.path("build", name)) {
			t.Errorf("the tree %q is still there", name)
		}
	}
	b.edit(t, "mm/util.c", "WAIT\n")
	b.seen.lines = make(chan string, 100)
	done := make(chan error)
	go func() { _, err := b.build(t, Source{}); done <- err }()
	open(t, gate).Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	close(b.seen.lines)
	if line := <-b.seen.lines; line != "going on with an interrupted build" {
		t.Errorf("the build says %q", line)
	}
	if n := b.kinds(t); n["work tree"] != 1 {
		t.Errorf("entries %v", n)
	}
}

// The last tree of a configuration stays, however many of another are younger: it
// saves that machine's next kernel a compilation in full.
func TestPruneKeepsSeeds(t *testing.T) {
	patched := func(config string) workState { return workState{Ready: true, Built: true, ConfKey: config} }
	plain, user := patched("pseries"), patched("pseries")
	plain.Plain, user.User = true, true
	for _, c := range []struct {
		name  string
		trees []workState // the oldest first
		left  int
	}{
		{"the only one of its configuration", []workState{patched("pseries"), patched("x86_64"), patched("x86_64")}, 2},
		{"two of them", []workState{patched("pseries"), patched("pseries"), patched("x86_64"), patched("x86_64")}, 2},
		{"one without patches is there", []workState{plain, patched("pseries"), patched("x86_64"), patched("x86_64")}, 2},
		{"the user's", []workState{user, patched("x86_64"), patched("x86_64")}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.KeepTrees = 1
			if err := b.prepare(); err != nil {
				t.Fatal(err)
			}
			for i, st := range c.trees {
				w := &workTree{dir: b.path("build", fmt.Sprint(i)), state: st}
				if err := errors.Join(os.Mkdir(w.dir, 0o755), w.save(), os.Chtimes(filepath.Join(w.dir, "state.json"), time.Time{}, time.Unix(int64(i+1), 0))); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.prune(); err != nil {
				t.Fatal(err)
			}
			if n := b.kinds(t)["work tree"]; n != c.left {
				t.Errorf("%d trees are left, want %d", n, c.left)
			}
		})
	}
}

// Failed builds don't pile up either.
func TestPruneFailed(t *testing.T) {
	b := newBench(t)
	b.KeepTrees = 2
	for i := range 4 {
		b.edit(t, "mm/util.c", fmt.Sprintf("BROKEN %d\n", i))
		if _, err := b.build(t, Source{}); blame.Of(err) != blame.User {
			t.Fatal(err)
		}
	}
	if trees, err := filepath.Glob(b.path("build", "*")); err != nil || len(trees) > 3 {
		t.Errorf("%d trees (%v), want those to be gone on with and the last one", len(trees), err)
	}
}

// A result that lost a file is made again.
func TestDamagedResult(t *testing.T) {
	b := newBench(t)
	k, _ := b.mustBuild(t, Source{})
	if err := os.Remove(k.Image); err != nil {
		t.Fatal(err)
	}
	again, compiled := b.mustBuild(t, Source{})
	if again.Key != k.Key || compiled != "" || !exists(k.Image) {
		t.Errorf("kernel %s, compiled %q", again.Key, compiled)
	}
}

func TestDiskFull(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	if err := s.reserve(1 << 60); blame.Of(err) != blame.Host || !strings.Contains(blame.Next(err), "images gc") {
		t.Errorf("reserve: %v", err)
	}
	err := s.blameDisk(fmt.Errorf("copy: %w", syscall.ENOSPC))
	if blame.Of(err) != blame.Host || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("ENOSPC: %v of %q", err, blame.Of(err))
	}
	if err := s.blameDisk(errors.New("other")); blame.Of(err) != blame.Harness {
		t.Errorf("another error: %v of %q", err, blame.Of(err))
	}
}

func TestMissing(t *testing.T) {
	b := newBench(t)
	if missing := b.Missing(Archs.All()...); len(missing) > 0 {
		t.Errorf("missing %v", missing)
	}
	b.Env = []string{"PATH=" + t.TempDir()}
	missing := b.Missing(PPC64LE)
	for _, want := range []Requirement{
		{"flex", "Kconfig", "flex"}, {PPC64LE.cross() + "gcc", "kernels for ppc64le", PPC64LE.compilerPackage()}, {"gelf.h", "objtool and modpost", "libelf-dev"},
	} {
		if !slices.Contains(missing, want) {
			t.Errorf("%v isn't among %v", want, missing)
		}
	}
	err := b.checkTools(PPC64LE)
	if blame.Of(err) != blame.Host || !strings.HasPrefix(blame.Next(err), "apt-get install ") {
		t.Errorf("%v, next %q", err, blame.Next(err))
	}
}

// fakeApt stands in for Debian's mirrors: apt-get knows the packages, dpkg-deb
// unpacks a directory instead of an archive.
func (b *bench) fakeApt(t *testing.T, files map[string]string) {
	t.Helper()
	contents := filepath.Join(b.home, "package")
	writeTree(t, contents, files)
	for name, script := range map[string]string{
		"apt-get":   "for last; do :; done\nset -- $last\nif [ $1 = update ]; then echo update >> $HOME/apt; exit; fi\necho $1 >> $HOME/apt\necho deb > $1_1.deb\n",
		"apt-cache": "echo 'Package: meta'; echo 'Depends: linux-image-6.1.0-41-amd64 (= 6.1.158-1)'\n",
		"dpkg-deb":  "cp -r '" + contents + "/.' $3\n",
	} {
		if err := os.WriteFile(filepath.Join(strings.TrimPrefix(b.Env[0], "PATH="), name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// apt lists what the fake apt was asked for.
func (b *bench) apt() string {
	text, err := os.ReadFile(filepath.Join(b.home, "apt"))
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

func TestStock(t *testing.T) {
	b := newBench(t)
	b.fakeApt(t, map[string]string{"boot/vmlinuz-6.1.0-41-amd64": string(bzImage(0x20f, 1)), "boot/config-6.1.0-41-amd64": "x", "lib/modules/x.ko": "x"})
	k, err := b.Stock(t.Context(), X8664)
	if err != nil {
		t.Fatal(err)
	}
	if k.Name != "6.12.117-test (Debian stock)" || !k.Prebuilt {
		t.Errorf("kernel %+v", k)
	}
	if _, err := b.Stock(t.Context(), X8664); err != nil || b.apt() != "update linux-image-6.1.0-41-amd64" {
		t.Errorf("apt was asked for %q (%v)", b.apt(), err)
	}
	if _, err := b.Stock(t.Context(), PPC64); blame.Of(err) != blame.User {
		t.Errorf("ppc64: %v", err)
	}
}

// Without the source package installed it is fetched, once.
func TestFetchSource(t *testing.T) {
	b := newBench(t)
	writeTree(t, filepath.Join(b.home, "top", "linux-source-6.12"), fakeTree)
	tarball := filepath.Join(b.home, "t.tar.xz")
	if out, err := exec.Command("tar", "-C", filepath.Join(b.home, "top"), "-cJf", tarball, "linux-source-6.12").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(tarball)
	if err != nil {
		t.Fatal(err)
	}
	b.fakeApt(t, map[string]string{sourceTarball: string(text)})
	b.debianTarball = "/nonexistent"
	for range 2 {
		k, err := b.Build(t.Context(), X8664, Source{}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if k.Name != "6.12.117" {
			t.Errorf("name %q", k.Name)
		}
	}
	if b.apt() != "update "+sourcePackage {
		t.Errorf("apt was asked for %q", b.apt())
	}
}

// A failing apt is the host's fault and says what to do.
func TestNoNetwork(t *testing.T) {
	b := newBench(t)
	b.fakeApt(t, nil)
	bin := strings.TrimPrefix(b.Env[0], "PATH=")
	if err := os.WriteFile(filepath.Join(bin, "apt-get"), []byte("#!/bin/sh\necho 'E: Failed to fetch'; exit 100\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.debianTarball = "/nonexistent"
	_, err := b.Build(t.Context(), X8664, Source{}, Options{})
	if blame.Of(err) != blame.Host || blame.Next(err) == "" || !strings.Contains(err.Error(), "Failed to fetch") {
		t.Errorf("%v of %q, next %q", err, blame.Of(err), blame.Next(err))
	}
	if left, _ := filepath.Glob(b.path("debian", "*.part")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}
