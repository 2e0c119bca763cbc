// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// read reads a file of a build.
func (b *build) read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(b.tree, "obj", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// use does everything that can be done with an object that is in memory.
func use(data []byte) {
	o, err := newObject("hostile", data)
	if err != nil {
		return
	}
	if err := o.openDWARF(); err != nil {
		return
	}
	funcs := map[string][]function{}
	if err := guard(o.name, func() (err error) { funcs, err = o.functions(); return err }); err != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(funcs)) {
		gap := funcs[name][0].gap
		for _, offset := range []uint64{0, gap / 2, gap} {
			_, _ = o.locate(Ref{Func: name, Offset: offset, Return: offset > 0})
		}
	}
}

// FuzzObject: a damaged ELF file makes nothing panic. The input says which file
// is damaged, where it is cut off, and which bytes become what: three bytes of
// position, one of value. (Whole files as inputs take minutes to minimise.)
func FuzzObject(f *testing.F) {
	var files [][]byte
	for _, g := range targets[:2] {
		b := compiled(f, g)
		files = append(files, b.read(f, "vmlinux"), b.read(f, "modules/my-mod.ko"))
	}
	for _, format := range []string{"-gz=zlib", "-gdwarf-4"} {
		files = append(files, compiled(f, targets[0], format).read(f, "vmlinux"))
	}
	for i := range files {
		f.Add(uint8(i), uint32(1<<31), []byte{0, 0, 4, 1, 0, 0, 40, 7})
	}
	f.Fuzz(func(_ *testing.T, file uint8, length uint32, edits []byte) {
		data := bytes.Clone(files[int(file)%len(files)])
		data = data[:min(len(data), int(length))]
		for ; len(edits) >= 4 && len(data) > 0; edits = edits[4:] {
			data[int(binary.BigEndian.Uint32(edits)>>8)%len(data)] = edits[3]
		}
		use(data)
	})
}

// FuzzAnnotate: any text comes out with its references annotated, and else
// as it was.
func FuzzAnnotate(f *testing.F) {
	for _, seed := range []string{"RIP: 0010:mm_a+0x10/0x20\n", " mod_work+0x1/0x20 [my_mod]", "+0x/0x", "a+0x1/0x2 (b+0x1/0x2", "\xff+0x1/0x2"} {
		f.Add(seed)
	}
	table := compiled(f, targets[0]).open(f)
	f.Fuzz(func(t *testing.T, text string) {
		got, places := Annotate(text, table)
		if len(places) == 0 && !strings.HasPrefix(got, text) {
			t.Errorf("%q became %q", text, got)
		}
		if len(places) > strings.Count(text, "+0x") {
			t.Errorf("%d places in %q", len(places), text)
		}
	})
}

// TestCut: every prefix of a file is damaged, or has less in it, at worst.
func TestCut(t *testing.T) {
	for _, g := range targets[:2] {
		b := compiled(t, g)
		for _, name := range []string{"vmlinux", "modules/my-mod.ko"} {
			data := b.read(t, name)
			for n := 0; n < len(data); n += 1 + len(data)/300 {
				use(bytes.Clone(data[:n]))
			}
		}
	}
}

// TestFileShrinks: a mapped file that becomes shorter is damaged, and no crash.
func TestFileShrinks(t *testing.T) {
	b := compiled(t, targets[0])
	file := filepath.Join(t.TempDir(), "vmlinux")
	if err := os.WriteFile(file, b.read(t, "vmlinux"), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := Open(file, "")
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	var bad *DamagedError
	if _, err := table.Locate(Ref{Func: "mm_a"}); !errors.As(err, &bad) {
		t.Errorf("got %v", err)
	}
}

// TestInflation: a compressed section that claims to be huge is refused.
func TestInflation(t *testing.T) {
	b := compiled(t, targets[0], "-gz=zlib")
	data := b.read(t, "vmlinux")
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	info := f.Section(".debug_info")
	if info.Flags&elf.SHF_COMPRESSED == 0 {
		t.Fatal(".debug_info isn't compressed")
	}
	const size = 8 // ch_size in Elf64_Chdr
	binary.LittleEndian.PutUint64(data[info.Offset+size:], 1<<40)
	o, err := newObject("vmlinux", data)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.openDWARF(); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("got %v", err)
	}
}

// TestOverlappingAbbrevs: debug/dwarf would keep a table for each unit, all of
// them but the first parts of others.
func TestOverlappingAbbrevs(t *testing.T) {
	entry := []byte{1, 0x11, 0, 0, 0} // one abbreviation without attributes
	table := append(bytes.Repeat(entry, 1000), 0)
	units := []unitHeader{{abbrevs: 0}, {abbrevs: 0}, {abbrevs: uint64(len(table))}}
	if err := checkAbbrevs(units, append(table, table...)); err != nil {
		t.Errorf("two tables: %v", err)
	}
	units[2].abbrevs = 5
	if err := checkAbbrevs(units, table); err == nil {
		t.Error("overlapping tables pass")
	}
	units[2].abbrevs = 1 << 40
	if err := checkAbbrevs(units, table); err == nil {
		t.Error("a table behind the end passes")
	}
}

// TestDeepNesting: entries nested a million deep don't overflow a stack.
func TestDeepNesting(t *testing.T) {
	abbrev := []byte{
		1, byte(dwarf.TagCompileUnit), 1, 0, 0,
		2, byte(dwarf.TagVariable), 1, 0, 0, // no function has children here
		0,
	}
	const deep = 1 << 20
	body := append([]byte{1}, bytes.Repeat([]byte{2}, deep)...)
	body = append(body, make([]byte, deep+1)...)
	header := []byte{4, 0, 0, 0, 0, 0, 8} // version, abbreviations, size of an address
	info := binary.LittleEndian.AppendUint32(nil, uint32(len(header)+len(body)))
	info = append(append(info, header...), body...)
	data, err := dwarf.New(abbrev, nil, nil, info, nil, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := data.Reader()
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	var x unitIndex
	if err := x.readFunctions(data, r, unit{end: dwarf.Offset(len(info))}); err != nil || len(x.functions) != 0 {
		t.Errorf("%d functions, %v", len(x.functions), err)
	}
}

// TestUnitCacheBounded: the cache forgets what was used longest ago.
func TestUnitCacheBounded(t *testing.T) {
	var c unitCache
	half := &unitIndex{functions: make([]span, maxCached/2)}
	for i := range 4 {
		c.put(i, half)
		if c.get(0) == nil && i < 2 {
			t.Errorf("unit 0 is gone after %d", i)
		}
	}
	if c.get(3) == nil || c.get(1) != nil || len(c.indexes) != 2 || len(c.recent) != 2 || c.size != maxCached {
		t.Errorf("%d units, %v, size %d", len(c.indexes), c.recent, c.size)
	}
	c.put(9, &unitIndex{functions: make([]span, 2*maxCached)})
	if len(c.indexes) != 1 || c.get(9) == nil {
		t.Error("one unit may exceed the bound, alone")
	}
	runtime.KeepAlive(half)
}

// TestManyOfOneName: a file with as many functions of one name as it has room for
// takes a moment, not hours.
func TestManyOfOneName(t *testing.T) {
	const many = 400_000
	text := &elf.Section{SectionHeader: elf.SectionHeader{Name: ".text", Flags: elf.SHF_EXECINSTR, Addr: 0x1000, Size: 2 * many}}
	o := &object{name: "x", elf: &elf.File{Sections: []*elf.Section{{}, text}}}
	for i := range uint64(many) {
		symbol := elf.Symbol{Name: "f", Info: byte(elf.STT_FUNC), Section: 1, Value: 0x1000 + 2*i, Size: 2}
		o.syms = append(o.syms, symbol, symbol)
	}
	found, err := o.find(Ref{Func: "f", Size: 2})
	if err != nil || len(found) != maxCopies || len(o.funcs["f"]) != many {
		t.Errorf("%d of %d, %v", len(found), len(o.funcs["f"]), err)
	}
}
