// SPDX-License-Identifier: Apache-2.0

package images

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/blame"
)

// products of builds in and below the tree, by ways of building.
var leftovers = map[string]string{
	".config": "CONFIG_X=y\n", "include/generated/autoconf.h": "x", "include/config/auto.conf": "x", "arch/x86/include/generated/asm/a.h": "x",
	"mm/slub.o": "x", "mm/.slub.o.cmd": "x", "vmlinux": "x", "System.map": "x", "Module.symvers": "x", "lib/test.ko": "x", "lib/test.mod.c": "x",
	objDir + "/vmlinux":   "x",
	"obj-x86/.gitignore":  "# this is build directory, ignore it\n*\n",
	"obj-x86/Makefile":    "x",
	"obj-x86/mm/nothing":  "x",
	"scripts/dtc/x.tab.c": "x",
}

// ignored stands for the kernel's own .gitignore.
const ignored = ".*\n!.gitignore\n*.o\n*.ko\n*.mod.c\n*.tab.c\nvmlinux\nSystem.map\nModule.symvers\n/include/config/\n/include/generated/\n/arch/*/include/generated/\n"

// look returns the paths that a snapshot of the bench's tree would hold.
func (b *bench) look(t *testing.T) []string {
	t.Helper()
	if err := b.prepare(); err != nil {
		t.Fatal(err)
	}
	src, err := b.userTree(t.Context(), b.tree)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(src.files))
}

func TestTreeWithoutGit(t *testing.T) {
	b := newBench(t)
	writeTree(t, b.tree, leftovers)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(fakeTree)), b.look(t)); diff != "" {
		t.Error(diff)
	}
}

// In a git work tree: tracked files as they are, new ones too, not the ignored
// and not the deleted.
func TestTreeWithGit(t *testing.T) {
	b := newBench(t)
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", b.tree, "-c", "user.name=x", "-c", "user.email=x@x", "-c", "init.defaultBranch=x"}, args...)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.home}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	writeTree(t, b.tree, map[string]string{".gitignore": ignored, "mm/gone.c": "gone\n"})
	git("init", "-q")
	git("add", ".")
	git("commit", "-qm", "x")
	writeTree(t, b.tree, leftovers)
	b.edit(t, "mm/new.c", "new\n")
	b.edit(t, "mm/util.c", "edited\n")
	if err := os.Remove(filepath.Join(b.tree, "mm/gone.c")); err != nil {
		t.Fatal(err)
	}
	want := append(slices.Collect(maps.Keys(fakeTree)), ".gitignore", "mm/new.c")
	slices.Sort(want)
	if diff := cmp.Diff(want, b.look(t)); diff != "" {
		t.Error(diff)
	}
	k, _ := b.mustBuild(t, Source{})
	if image, err := os.ReadFile(k.Image); err != nil || string(image) != "memory\nnew\nslub 1\nslub 2\nslub 3\nedited\n" {
		t.Errorf("image %q, %v", image, err)
	}
}

// Only settled stamps are remembered, and what is remembered isn't read again.
func TestStatCache(t *testing.T) {
	b := newBench(t)
	old := time.Now().Add(-time.Hour)
	for name := range fakeTree {
		if err := os.Chtimes(filepath.Join(b.tree, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	b.look(t) // ctime is now, so nothing is settled yet
	cacheFile := b.path("stat", key("tree", b.tree)+".json")
	if cache := readStatCache(cacheFile); len(cache.Files) != 0 {
		t.Errorf("remembered too early: %v", cache.Files)
	}
	info, err := os.Lstat(filepath.Join(b.tree, "mm/util.c"))
	if err != nil {
		t.Fatal(err)
	}
	st := stampOf(info)
	if now := max(st.MTime, st.CTime); st.settled(now+1e9) || !st.settled(now+3e9) {
		t.Error("settled is wrong about the granularity of time stamps")
	}
	cache := &statCache{Files: map[string]statEntry{"mm/util.c": {st, "f remembered"}, "mm/slub.c": {stamp{Size: 1}, "f stale"}}}
	files, err := b.lookAt(t.Context(), b.tree, cache)
	if err != nil || files["mm/util.c"] != "f remembered" || files["mm/slub.c"] == "f stale" {
		t.Errorf("util %q, slub %q, %v", files["mm/util.c"], files["mm/slub.c"], err)
	}
}

// A tree that changes between hashing and copying is not mixed up.
func TestTreeChangesWhileCopied(t *testing.T) {
	b := newBench(t)
	if err := b.prepare(); err != nil {
		t.Fatal(err)
	}
	src, err := b.userTree(t.Context(), b.tree)
	if err != nil {
		t.Fatal(err)
	}
	b.edit(t, "mm/util.c", "other\n")
	_, held, err := b.pristine(t.Context(), src)
	held.unlock()
	if blame.Of(err) != blame.User || !strings.Contains(err.Error(), "mm/util.c") {
		t.Errorf("got %v", err)
	}
	if left, _ := filepath.Glob(b.path("src", "*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestManifest(t *testing.T) {
	m := manifest{"a b\n\"c": "f 1", "d": "x 2", "e": "l 3"}
	file := filepath.Join(t.TempDir(), "manifest")
	if err := m.write(file); err != nil {
		t.Fatal(err)
	}
	back, err := readManifest(file)
	if err != nil || cmp.Diff(m, back) != "" {
		t.Errorf("%v: %s", err, cmp.Diff(m, back))
	}
	changed := m.overlaid(map[string]string{"d": "", "e": "f 3", "new": "f 4"})
	if diff := cmp.Diff([]string{"d", "e", "new"}, m.diff(changed)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"d", "e", "new"}, changed.diff(m)); diff != "" {
		t.Error(diff)
	}
	if got := changed.diff(changed); got != nil {
		t.Errorf("differs from itself: %v", got)
	}
	if m.key() == changed.key() {
		t.Error("equal keys")
	}
}
