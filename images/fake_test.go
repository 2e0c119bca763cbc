// SPDX-License-Identifier: Apache-2.0

package images

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

// fakeMakefile builds a "kernel" of some text files in no time, with the
// targets, output lines and .cmd files of Kbuild that we rely on. A source
// with WAIT in it blocks on the fifo $HOME/gate; one with BROKEN doesn't
// compile.
const fakeMakefile = `VERSION = 6
PATCHLEVEL = 12
SUBLEVEL = 117
EXTRAVERSION =
NAME = Fake

.DELETE_ON_ERROR:
OBJS := $(patsubst %.c,$(O)/%.o,$(wildcard mm/*.c))
tinyconfig:
	@mkdir -p $(O); echo '# CONFIG_NOTHING is not set' > $(O)/.config
olddefconfig:
	@sh scripts/kconfig/old $(O)/.config
$(O)/%.o: %.c
	@echo "  CC      $*.o"; echo "$*.o" >> $(HOME)/compiled; mkdir -p $(dir $@)
	@! grep -q WAIT $< || exec cat $(HOME)/gate >/dev/null
	@if grep -q BROKEN $<; then echo "$<:1:2: error: BROKEN is undeclared" >&2; exit 1; fi
	@cp $< $@; { echo "cp ../$<"; sed -n 's,^#include "\(.*\)",  ../mm/\1 \\,p' $<; } > $(dir $@).$(notdir $@).cmd
$(O)/vmlinux: $(OBJS)
	@echo "  LD      vmlinux"; cat $(sort $(OBJS)) > $@
	@echo "0 T _text" > $(O)/System.map; mkdir -p $(O)/include/config; echo 6.12.117-fake > $(O)/include/config/kernel.release
vmlinux bzImage: $(O)/vmlinux
	@mkdir -p $(O)/arch/x86/boot; cp $< $(O)/arch/x86/boot/bzImage
ifdef M
modules:
	@for c in $$(sed -n 's/obj-m += \(.*\)\.o/\1/p' $(M)/Kbuild); do echo "  CC [M]  $$c.o"; \
		parts=$$(sed -n "s/^$$c-y += \(.*\)\.o/\1.c/p" $(M)/Kbuild); cat $(O)/vmlinux $$(printf '$(M)/%s ' $${parts:-$$c.c}) > $(M)/$$c.ko; done
else
modules: $(O)/vmlinux
	@mkdir -p $(O)/lib; echo lib/test-hmm.o > $(O)/modules.order; echo hmm > $(O)/lib/test-hmm.ko
endif
`

// fakeKconfig keeps the last value of each option and drops what
// scripts/kconfig/unmet lists.
const fakeKconfig = `awk -F= 'NR == FNR { unmet[$1]; next } /^CONFIG_/ && !($1 in unmet) { v[$1] = $0 } /^# CONFIG_/ { delete v["" $2] } END { for (o in v) print v[o] }' \
	scripts/kconfig/unmet $1 | sort > $1.new && mv $1.new $1
`

var fakeTree = map[string]string{
	"Makefile": fakeMakefile, "Kconfig": "config SMP\n\tbool\n\tdepends on EVERYTHING\n", "Kbuild": "\n", "mm/slub.c": "slub 1\nslub 2\nslub 3\n",
	"mm/memory.c": "memory\n", "mm/util.c": "util\n", "scripts/kconfig/old": fakeKconfig, "scripts/kconfig/unmet": "NONE\n",
	"README": "text\n",
}

// writeTree writes files below dir.
func writeTree(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// readTree reads all files below dir.
func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(file)
		all[strings.TrimPrefix(file, dir+"/")] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A bench is a store whose compilers are fakes, and a tree to build.
type bench struct {
	*Store
	home, tree string
	seen       *recorder
}

// newBench makes one. The tree's path has spaces and a colon in it.
func newBench(t *testing.T) *bench {
	t.Helper()
	top := t.TempDir()
	b := &bench{home: filepath.Join(top, "home"), tree: filepath.Join(top, "my tree: new"), seen: &recorder{}}
	bin := filepath.Join(top, "bin")
	for _, dir := range []string{b.home, bin} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeTree(t, b.tree, fakeTree)
	fakeTools(t, bin)
	b.Store = &Store{
		Dir: filepath.Join(top, "cache"), Env: []string{"PATH=" + bin, "HOME=" + b.home, "KCFLAGS=-DWRONG"}, Jobs: 2, Progress: b.seen,
		Modules: fstest.MapFS{"ours.c": {Data: []byte("ours\n")}, "README": {Data: []byte("x")}},
	}
	return b
}

// fakeTools fills a directory for PATH: real tools, and stand-ins for the
// compilers.
func fakeTools(t *testing.T, bin string) {
	t.Helper()
	for _, name := range []string{"sh", "make", "mkdir", "echo", "cat", "cp", "mv", "sed", "awk", "sort", "grep", "tar", "xz", "gzip", "find", "git", "rm"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("the tests of builds need %s: %v", name, err)
		}
		if err := os.Symlink(real, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"gcc", "flex", "bison", "bc", "perl"}
	for _, a := range Archs.All() {
		names = append(names, a.cross()+"gcc", a.cross()+"ld", a.cross()+"objcopy")
	}
	for _, name := range names {
		script := "#!/bin/sh\necho \"fake " + name + " 1.0\"\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// build builds the bench's tree.
func (b *bench) build(t *testing.T, src Source) (*Kernel, error) {
	t.Helper()
	src.Tree = b.tree
	return b.Build(t.Context(), X8664, src, Options{})
}

// mustBuild builds, and returns the kernel and what was compiled for it.
func (b *bench) mustBuild(t *testing.T, src Source) (*Kernel, string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(b.home, "compiled")); err != nil {
		t.Fatal(err)
	}
	k, err := b.build(t, src)
	if err != nil {
		t.Fatal(err)
	}
	return k, b.compiled()
}

// compiled lists what the fake make compiled, in order.
func (b *bench) compiled() string {
	text, err := os.ReadFile(filepath.Join(b.home, "compiled"))
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

// patchFile writes a patch that turns mm/slub.c's second line into text.
func (b *bench) patchFile(t *testing.T, name, text string) string {
	t.Helper()
	writeTree(t, b.home, map[string]string{
		name: "--- a/mm/slub.c\n+++ b/mm/slub.c\n@@ -1,3 +1,3 @@\n slub 1\n-slub 2\n+" + text + "\n slub 3\n",
	})
	return filepath.Join(b.home, name)
}

// edit changes a file of the tree, in a way that a time stamp alone may not
// show.
func (b *bench) edit(t *testing.T, name, text string) {
	t.Helper()
	writeTree(t, b.tree, map[string]string{name: text})
}

// A recorder is a Progress to look at afterwards.
type recorder struct {
	mu     sync.Mutex
	stages []string
	lines  chan string // nil, or gets each line
	last   float64
	fell   bool
}

func (r *recorder) Stage(name string, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stages, r.last = append(r.stages, name), 0
}

func (r *recorder) Fraction(f float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fell = r.fell || f < r.last || f > 1
	r.last = f
}

func (r *recorder) Line(line string) {
	if r.lines != nil {
		r.lines <- line
	}
}
