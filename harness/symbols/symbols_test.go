// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/blame"
)

const (
	header = "include/inline.h"
	mainC  = "init/main.c"
	aC     = "mm/a.c"
	bC     = "mm/b.c"
	modC   = "drivers/mod.c"
)

// A where is a Place by a text in its line.
type where struct{ function, file, text string }

func (b *build) places(t *testing.T, all []where) []Place {
	t.Helper()
	var places []Place
	for _, w := range all {
		places = append(places, Place{w.function, w.file, b.lineOf(t, w.file, w.text)})
	}
	return places
}

func TestLocate(t *testing.T) {
	leaf, inBranch := where{"leaf", header, `PROBE("leaf")`}, where{"branch", header, "long y = leaf("}
	tests := []struct {
		module, probe string
		want          [][]where // the probe is once in the object for each
	}{
		{"", "start", [][]where{{{"start_kernel", mainC, `PROBE("start")`}}}},
		{"", "early", [][]where{{{"start_early", mainC, `PROBE("early")`}}}},
		{"", "small twin", [][]where{{{"twin", aC, `PROBE("small twin")`}}}},
		{"", "large twin", [][]where{{{"twin", bC, `PROBE("large twin")`}}}},
		{"", "cold", [][]where{{{"mm_a", aC, `PROBE("cold")`}}}},
		{"", "scalars", [][]where{{{"scalars", aC, `PROBE("scalars")`}}}},
		{"", "leaf", [][]where{
			{leaf, inBranch, {"start_early", mainC, "return branch(x)"}},
			{leaf, inBranch, {"mm_a", aC, "complain(branch(shared))"}},
			{leaf, inBranch, {"mm_a", aC, "long y = branch(x + i)"}},
			{leaf, {"twin", bC, "shared += leaf(shared)"}},
		}},
		{"my_mod", "init", [][]where{{{"init_module", modC, `PROBE("init")`}}}},
		{"my_mod", "exit", [][]where{{{"cleanup_module", modC, `PROBE("exit")`}}}},
		{"my_mod", "leaf", [][]where{
			{leaf, inBranch, {"mod_work", modC, "return branch(x)"}},
			{leaf, {"init_module", modC, "mod_work(leaf(7))"}},
		}},
	}
	for _, g := range targets {
		for _, format := range []string{"-gdwarf-4", "-gdwarf-5", "-gdwarf64", "-gz=zlib"} {
			t.Run(g.name+format, func(t *testing.T) {
				b := compiled(t, g, format)
				table := b.open(t)
				for _, tt := range tests {
					var want, got [][]Place
					for _, w := range tt.want {
						want = append(want, b.places(t, w))
					}
					o, err := table.object(tt.module)
					if err != nil {
						t.Fatal(err)
					}
					for _, pc := range probes(t, o)[tt.probe] {
						r := refTo(t, o, pc)
						r.Module = tt.module
						places, err := table.Locate(r)
						if err != nil {
							t.Errorf("%v: %v", r, err)
						}
						got = append(got, places)
					}
					for _, all := range [][][]Place{want, got} {
						slices.SortFunc(all, func(a, b []Place) int { return strings.Compare(positions(a), positions(b)) })
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("probe %q of %q:\n%s", tt.probe, tt.module, diff)
					}
				}
			})
		}
	}
}

func positions(places []Place) string {
	s := ""
	for _, p := range places {
		s += p.position() + " "
	}
	return s
}

// TestAddr2line compares every address of every function with addr2line -i -f.
func TestAddr2line(t *testing.T) {
	for _, g := range targets {
		t.Run(g.name, func(t *testing.T) {
			b := compiled(t, g)
			table := b.open(t)
			for _, module := range []string{"", "my_mod"} {
				o, err := table.object(module)
				if err != nil {
					t.Fatal(err)
				}
				if err := o.openDWARF(); err != nil {
					t.Fatal(err)
				}
				b.compare(t, o)
			}
		})
	}
}

func (b *build) compare(t *testing.T, o *object) {
	t.Helper()
	step := uint64(1)
	if o.elf.Machine == elf.EM_PPC64 {
		step = 4
	}
	for _, s := range o.elf.Sections {
		if s.Flags&elf.SHF_EXECINSTR == 0 {
			continue
		}
		var addrs []uint64
		for pc := s.Addr; pc < s.Addr+s.Size; pc += step {
			addrs = append(addrs, pc)
		}
		if len(addrs) == 0 {
			continue
		}
		for i, want := range b.addr2line(t, o, s, addrs) {
			places, err := o.dwarf.placesOf(addrs[i], refTo(t, o, addrs[i]).Func, o.root)
			if err != nil {
				t.Fatal(err)
			}
			if got := b.clean(asAddr2line(places)); !agree(got, b.clean(want)) {
				t.Errorf("%s %s %#x:\ngot  %q\nwant %q", o.name, s.Name, addrs[i], got, b.clean(want))
			}
		}
	}
}

// asAddr2line writes places as addr2line does.
func asAddr2line(places []Place) []string {
	var all []string
	for _, p := range places {
		all = append(all, p.Func+" "+p.position())
	}
	return all
}

// clean makes addr2line's file names relative and takes compiler suffixes off.
// It is nil where addr2line knows no line.
func (b *build) clean(lines []string) []string {
	var all []string
	for _, l := range lines {
		name, position, _ := strings.Cut(l, " ")
		name, _, _ = strings.Cut(name, ".")
		file, line, _ := strings.Cut(position, ":")
		if file == "??" || line == "?" {
			return nil
		}
		if rel, err := filepath.Rel(b.tree, file); err == nil {
			file = rel
		}
		all = append(all, name+" "+file+":"+line)
	}
	return all
}

// agree compares with addr2line. Of a static function in a header binutils
// 2.40 name the unit's C file instead, with the header's line.
func agree(got, want []string) bool {
	if n := len(got); n > 0 && n == len(want) && strings.Contains(got[n-1], ".h:") {
		name, position, _ := strings.Cut(want[n-1], " ")
		if file, line, _ := strings.Cut(position, ":"); strings.HasSuffix(file, ".c") {
			want[n-1] = name + " " + header + ":" + line
		}
	}
	return slices.Equal(got, want)
}

func TestReturnAddress(t *testing.T) {
	for _, g := range targets {
		t.Run(g.name, func(t *testing.T) {
			b := compiled(t, g)
			table := b.open(t)
			o := table.vmlinux
			start := refTo(t, o, probes(t, o)["start"][0])
			want := map[int]bool{}
			for _, call := range []string{"y = start_early(", "y += mm_a(", "return y + mm_b(y) + copied(y)"} {
				want[b.lineOf(t, mainC, call)] = true
			}
			got := map[int]bool{}
			base := probes(t, o)["start"][0] - start.Offset
			for r := (Ref{Func: start.Func, Offset: 4, Size: start.Size, Return: true}); r.Offset < r.Size; r.Offset++ {
				if places, err := table.Locate(r); err == nil && o.afterCall(base+r.Offset) {
					got[places[0].Line] = true
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("lines of calls: %s", diff)
			}
			// No call stands before the probe.
			r := start
			r.Return = true
			if places, err := table.Locate(r); err != nil || places[0].Line != b.lineOf(t, mainC, `PROBE("start")`) {
				t.Errorf("%v: %v, %v", r, places, err)
			}
			// The call at the very end of a function that doesn't return: the
			// kernel prints an offset that equals the size.
			funcs, err := o.functions()
			if err != nil {
				t.Fatal(err)
			}
			size := funcs["give_up"][0].size
			r = Ref{Func: "give_up", Offset: size, Size: size, Return: true}
			if places, err := table.Locate(r); err != nil || places[0].Line != b.lineOf(t, mainC, "\thalt();") {
				t.Errorf("%v: %v, %v", r, places, err)
			}
			r.Return = false
			if places, err := table.Locate(r); err == nil {
				t.Errorf("%v is %v", r, places)
			}
		})
	}
}

// TestPrefixMap: reproducible builds write other directories, or none, in
// place of those that they were made in.
func TestPrefixMap(t *testing.T) {
	for _, to := range []string{".", "/usr/src/linux", "debian/build", ""} {
		for _, format := range []string{"-gdwarf-4", "-gdwarf-5"} {
			b := compiled(t, targets[0], format, "-fdebug-prefix-map=TREE="+to)
			table := b.open(t)
			for probe, want := range map[string]where{
				"start":      {"start_kernel", mainC, `PROBE("start")`},
				"large twin": {"twin", bC, `PROBE("large twin")`},
				"copied":     {"copied", header, `PROBE("copied")`},
			} {
				r := refTo(t, table.vmlinux, probes(t, table.vmlinux)[probe][0])
				places, err := table.Locate(r)
				if diff := cmp.Diff(b.places(t, []where{want}), places); err != nil || diff != "" {
					t.Errorf("%s to %q: %v %s", format, to, err, diff)
				}
			}
		}
	}
}

func TestRelative(t *testing.T) {
	for _, tt := range []struct{ file, compDir, root, want string }{
		{"/k/linux/mm/slub.c", "/k/linux", "/k/linux/", "mm/slub.c"},
		{"/k/linux/o/../mm/./slub.c", "/k/linux/o", "/k/linux/", "mm/slub.c"},
		{"/k/linux/o/include/generated/x.h", "/k/linux/o", "/k/linux/", "o/include/generated/x.h"},
		{"/obj/include/generated/x.h", "/obj", "/k/linux/", "include/generated/x.h"},
		{"/k/mod/x.c", "/k/linux", "/k/linux/", "mod/x.c"},                // a module out of the tree
		{"/b/linux/arch/x.S", "/b/linux/deb/obj", "deb/obj/", "arch/x.S"}, // directories were mapped, this one wasn't
		{"/usr/include/x.h", "/k/linux", "/k/linux/", "/usr/include/x.h"},
		{"../mm/slub.c", ".", "", "mm/slub.c"},
		{"mm/slub.c", "", "", "mm/slub.c"},
		{"/k/" + strings.Repeat("x", 2*maxName), "/k", "", strings.Repeat("x", maxName-len("/k/"))},
	} {
		got := relative(&dwarf.LineFile{Name: tt.file}, tt.compDir, tt.root)
		if got != tt.want {
			t.Errorf("%.40s in %s: %.40s, want %.40s", tt.file, tt.compDir, got, tt.want)
		}
	}
	if got := relative(nil, "/k", "/k/"); got != "??" {
		t.Errorf("no file is %q", got)
	}
}

func TestAssembler(t *testing.T) {
	for _, g := range targets[:2] {
		b := compiled(t, g)
		table := b.open(t)
		funcs, err := table.vmlinux.functions()
		if err != nil {
			t.Fatal(err)
		}
		size := funcs["asm_entry"][0].size
		places, err := table.Locate(Ref{Func: "asm_entry", Offset: size / 2, Size: size})
		want := []Place{{"asm_entry", "arch/entry.S", b.lineOf(t, "arch/entry.S", "the third")}}
		if err != nil || cmp.Diff(want, places) != "" {
			t.Errorf("%s: %v, %v, want %v", g.name, places, err, want)
		}
	}
}

// TestSeveral: one name, several functions.
func TestSeveral(t *testing.T) {
	for _, g := range targets {
		t.Run(g.name, func(t *testing.T) {
			b := compiled(t, g)
			table := b.open(t)
			found := probes(t, table.vmlinux)
			_, err := table.Locate(refTo(t, table.vmlinux, found["clone a"][0]))
			var several *AmbiguousError
			if !errors.As(err, &several) || len(several.Places) != 2 || !strings.Contains(err.Error(), "mm/b.c:") {
				t.Errorf("two functions of the same name and size: %v", err)
			}
			if n := len(found["copied"]); n != 3 {
				t.Fatalf("%d copies", n)
			}
			places, err := table.Locate(refTo(t, table.vmlinux, found["copied"][0]))
			want := b.places(t, []where{{"copied", header, `PROBE("copied")`}})
			if err != nil || cmp.Diff(want, places) != "" {
				t.Errorf("copies of one function: %v, %v, want %v", places, err, want)
			}
			_, err = table.Locate(Ref{Func: "twin", Offset: 1, Size: 0x12340})
			var other *MismatchError
			if !errors.As(err, &other) || len(other.Sizes) != 2 || blame.Of(err) != blame.User || blame.Next(err) == "" {
				t.Errorf("a wrong size: %v", err)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	b := compiled(t, targets[0])
	table := b.open(t)
	var other *MismatchError
	var missing *MissingError
	for _, tt := range []struct {
		ref    Ref
		target any
		text   string
	}{
		{Ref{Func: "no_such", Offset: 1, Size: 2}, &other, "there is no no_such"},
		{Ref{Func: "mm_a", Offset: 0x1000, Size: 0x2000}, &other, "the size of mm_a is 0x"},
		{Ref{Func: "mm_b", Offset: 0x4000}, &other, ""},
		{Ref{Func: "f", Module: "nvme", Size: 1}, &missing, "no module nvme below"},
	} {
		if _, err := table.Locate(tt.ref); !errors.As(err, tt.target) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%v: %v", tt.ref, err)
		}
	}
	none, err := Open(b.vmlinux, "")
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	if _, err := none.Locate(Ref{Func: "f", Module: "my_mod", Size: 1}); !errors.As(err, &missing) {
		t.Errorf("without modules: %v", err)
	}
	for _, file := range []string{"/nonexistent", t.TempDir(), "/dev/null", "build_test.go"} {
		if _, err := Open(file, ""); blame.Of(err) != blame.User || blame.Next(err) == "" {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestStripped(t *testing.T) {
	b := compiled(t, targets[0])
	for _, arg := range []string{"-g", "-s"} {
		b.run(t, "strip", arg, "-o", "stripped"+arg, "vmlinux")
		var missing *MissingError
		if _, err := Open(filepath.Join(b.tree, "obj", "stripped"+arg), ""); !errors.As(err, &missing) || !strings.Contains(blame.Next(err), "debuginfo") {
			t.Errorf("stripped with %s: %v", arg, err)
		}
	}
}
