// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"bufio"
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A target is a machine to compile testdata/tree for, with the compilers that
// plugstorm doctor asks for.
type target struct {
	name, prefix string
	flags        []string // as the kernel has them
	optional     bool     // plugstorm works without this compiler
}

var targets = []target{
	{name: "x86_64", prefix: "x86_64-linux-gnu-"},
	{name: "ppc64le", prefix: "powerpc64le-linux-gnu-", flags: []string{"-mtraceback=no"}},
	{name: "ppc64", prefix: "powerpc64-linux-gnu-", flags: []string{"-mtraceback=no"}, optional: true}, // ABI version 1, big-endian
}

func (g target) tool(name string) string {
	if g.name == "x86_64" && runtime.GOARCH == "amd64" {
		return name
	}
	return g.prefix + name
}

// A build is a "kernel" and a "module", made in obj/ of a tree as Kbuild does
// with O=.
type build struct {
	target
	tree, vmlinux, modules string
}

var flags = []string{"-O2", "-g", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-fno-asynchronous-unwind-tables", "-I../include"}

var (
	buildMu sync.Mutex
	builds  = map[string]*build{}
	tempDir string // of all builds; TestMain removes it
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "symbols")
	if err != nil {
		panic(err)
	}
	tempDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// compiled makes a build once for all tests. more are flags of the compiler;
// TREE in them stands for the tree's directory.
func compiled(t testing.TB, g target, more ...string) *build {
	t.Helper()
	if _, err := exec.LookPath(g.tool("gcc")); err != nil && g.optional {
		t.Skipf("optional: %v", err)
	}
	buildMu.Lock()
	defer buildMu.Unlock()
	key := g.name + strings.ReplaceAll(strings.Join(more, ""), "/", "_")
	if builds[key] == nil {
		tree := filepath.Join(tempDir, key)
		if err := os.CopyFS(tree, os.DirFS("testdata/tree")); err != nil {
			t.Fatal(err)
		}
		b := &build{g, tree, filepath.Join(tree, "obj/vmlinux"), filepath.Join(tree, "obj/modules")}
		if err := os.MkdirAll(b.modules, 0o755); err != nil {
			t.Fatal(err)
		}
		all := slices.Concat(flags, g.flags)
		for _, flag := range more {
			all = append(all, strings.ReplaceAll(flag, "TREE", tree))
		}
		link := []string{"-nostdlib", "-static", "-no-pie", "-Wl,-e,start_kernel", "-Wl,-Ttext=0xc000000", "-o", "vmlinux"}
		b.run(t, "gcc", append(append(link, all...), "../init/main.c", "../mm/a.c", "../mm/b.c", "../arch/entry.S")...)
		b.run(t, "gcc", append(all, "-c", "-o", "modules/my-mod.ko", "../drivers/mod.c")...)
		builds[key] = b
	}
	return builds[key]
}

// run runs a tool of the target in obj/ and returns its output.
func (b *build) run(t testing.TB, tool string, args ...string) string {
	t.Helper()
	c := exec.Command(b.tool(tool), args...)
	c.Dir = filepath.Join(b.tree, "obj")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", tool, err, stderr.Bytes())
	}
	return string(out)
}

func (b *build) open(t testing.TB) *Table {
	t.Helper()
	table, err := Open(b.vmlinux, b.modules)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
	return table
}

// probes returns the addresses that PROBE left in an object, by name. Of an
// inlined function there may be several.
func probes(t testing.TB, o *object) map[string][]uint64 {
	t.Helper()
	found := map[string][]uint64{}
	for i, s := range o.elf.Sections {
		if s.Name != ".probes" {
			continue
		}
		data, err := o.content(i, 0)
		if err != nil {
			t.Fatal(err)
		}
		for ; len(data) >= 32; data = data[32:] {
			name, _, _ := bytes.Cut(data[8:32], []byte{0})
			if addr := o.elf.ByteOrder.Uint64(data); addr != 0 {
				found[string(name)] = append(found[string(name)], addr)
			}
		}
	}
	return found
}

// refTo returns the Ref that a kernel would print for an address.
func refTo(t testing.TB, o *object, pc uint64) Ref {
	t.Helper()
	funcs, err := o.functions()
	if err != nil {
		t.Fatal(err)
	}
	for name, all := range funcs {
		for _, f := range all {
			if pc >= f.addr && pc < f.addr+f.gap {
				return Ref{Func: name, Offset: pc - f.addr, Size: f.gap}
			}
		}
	}
	t.Fatalf("no function at %#x", pc)
	return Ref{}
}

// lineOf returns the number of the line of a file of the tree that contains text.
func (b *build) lineOf(t testing.TB, file, text string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(b.tree, file))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		if n++; strings.Contains(line, text) {
			return n
		}
	}
	t.Fatalf("%s: no line with %q", file, text)
	return 0
}

// addr2line is the binutils' opinion on addresses of a section (relative to
// its beginning in a module), "func file:line" for each function.
func (b *build) addr2line(t testing.TB, o *object, s *elf.Section, addrs []uint64) [][]string {
	t.Helper()
	args := []string{"-a", "-i", "-f", "-e", o.name}
	if o.elf.Type == elf.ET_REL {
		args = append(args, "-j", s.Name)
	}
	for _, a := range addrs {
		if o.elf.Type == elf.ET_REL {
			a -= s.Addr
		}
		args = append(args, fmt.Sprintf("%#x", a))
	}
	var all [][]string
	lines := bufio.NewScanner(strings.NewReader(b.run(t, "addr2line", args...)))
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "0x") {
			all = append(all, nil)
			continue
		}
		name := lines.Text()
		lines.Scan()
		position, _, _ := strings.Cut(lines.Text(), " (discriminator")
		all[len(all)-1] = append(all[len(all)-1], name+" "+position)
	}
	if len(all) != len(addrs) {
		t.Fatalf("addr2line answered %d times to %d addresses", len(all), len(addrs))
	}
	return all
}
