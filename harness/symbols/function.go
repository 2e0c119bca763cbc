// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"cmp"
	"debug/elf"
	"math"
	"slices"
	"strings"
)

// A function is a symbol in a section of code.
type function struct {
	addr uint64
	size uint64 // st_size; 0 for many labels in assembler code
	gap  uint64 // distance to the next symbol: the size as kallsyms counts it
	last bool   // of its section: gap ends with the section, and kallsyms may count more
}

// fits reports whether kallsyms may have printed this size for f. It counts
// up to the next symbol that it knows: f's end or somewhat later, or a label
// inside f.
func (f function) fits(size uint64) bool {
	return size == 0 || size >= min(f.size, f.gap) && (size <= f.gap || f.last)
}

// functions returns the functions of an object by name.
func (o *object) functions() (map[string][]function, error) {
	if o.funcs != nil {
		return o.funcs, nil
	}
	symbols, err := o.symbols()
	if err != nil {
		return nil, err
	}
	opd, err := o.descriptors()
	if err != nil {
		return nil, err
	}
	type named struct {
		name string
		end  uint64 // of its section
		function
	}
	var all []named
	for _, s := range symbols {
		addr := opd.code(s, o.address(s))
		section := o.codeSection(s, addr)
		if section == nil || isLabel(s) {
			continue
		}
		all = append(all, named{s.Name, section.Addr + section.Size, function{addr: addr, size: s.Size}})
	}
	slices.SortStableFunc(all, func(a, b named) int { return cmp.Compare(a.addr, b.addr) })
	funcs := make(map[string][]function, len(all))
	next := uint64(math.MaxUint64) // the lowest address above the current one
	for i := len(all) - 1; i >= 0; i-- {
		f := all[i]
		if i+1 < len(all) && all[i+1].addr > f.addr {
			next = all[i+1].addr
		}
		f.last = next >= f.end
		f.gap = min(next, f.end) - f.addr
		if same := funcs[f.name]; len(same) == 0 || same[len(same)-1].addr != f.addr { // those of one address stand together
			funcs[f.name] = append(same, f.function)
		}
	}
	o.funcs, o.syms = funcs, nil // nothing else needs the symbols any more
	return funcs, nil
}

// codeSection returns the section of code that holds a symbol, or nil.
func (o *object) codeSection(s elf.Symbol, addr uint64) *elf.Section {
	if int(s.Section) >= len(o.elf.Sections) || s.Section == elf.SHN_UNDEF {
		return nil
	}
	section := o.elf.Sections[s.Section]
	if section.Name == ".opd" {
		section = o.sectionOf(addr)
	}
	if section == nil || section.Flags&elf.SHF_EXECINSTR == 0 || addr < section.Addr || addr-section.Addr >= section.Size {
		return nil
	}
	return section
}

// sectionOf returns the section of code around an address, or nil.
func (o *object) sectionOf(addr uint64) *elf.Section {
	for _, s := range o.elf.Sections {
		if s.Flags&elf.SHF_EXECINSTR != 0 && addr >= s.Addr && addr-s.Addr < s.Size {
			return s
		}
	}
	return nil
}

// isLabel reports whether kallsyms leaves a symbol out (scripts/mksysmap,
// is_mapping_symbol): sections, local labels, mapping symbols.
func isLabel(s elf.Symbol) bool {
	switch elf.ST_TYPE(s.Info) {
	case elf.STT_SECTION, elf.STT_FILE:
		return true
	}
	return s.Name == "" || strings.HasPrefix(s.Name, ".L") || strings.HasPrefix(s.Name, "L0") || s.Name[0] == '$'
}

// find returns the functions that a Ref may mean, each at its own address.
func (o *object) find(r Ref) ([]function, error) {
	funcs, err := o.functions()
	if err != nil {
		return nil, err
	}
	named := funcs[r.Func]
	if named == nil { // ELFv1's names of code have a dot in front, or had in older kernels
		named = funcs[strings.TrimPrefix(r.Func, ".")]
	}
	var fit []function
	var sizes []uint64
	for _, f := range named {
		if f.fits(r.Size) && r.within(f) {
			fit = append(fit, f)
		}
		if !slices.Contains(sizes, f.gap) && len(sizes) < maxSizes {
			sizes = append(sizes, f.gap)
		}
	}
	if len(fit) == 0 {
		return nil, mismatch(r, o.name, sizes)
	}
	if exact := slices.DeleteFunc(slices.Clone(fit), func(f function) bool { return f.gap != r.Size }); len(exact) > 0 {
		fit = exact
	}
	return fit[:min(len(fit), maxCopies)], nil
}

// within reports whether the offset is in the function. The return address of
// a call at a function's very end is just behind it, and printed so (%pB).
func (r Ref) within(f function) bool {
	if r.Size == 0 {
		return r.Offset < f.gap
	}
	return r.Offset < r.Size || r.Return && r.Offset == r.Size
}

// maxCopies bounds how many functions of one name and size are looked at: a header's
// are in many units, and a file may have as many as it likes.
const maxCopies = 1024

// maxSizes bounds what a MismatchError tells.
const maxSizes = 8
