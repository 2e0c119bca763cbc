// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"bytes"
	"debug/elf"
	"fmt"
)

// sectionStart is where placeSections puts the first section of a module;
// maxSection bounds one section's size in bytes.
const (
	sectionStart = 1 << 20
	maxSection   = 1 << 32
)

// placeSections does what the kernel's loader does first: it gives each loaded
// section of a relocatable file an address of its own. All begin at 0
// otherwise, and a place in .text could not be told from one in .init.text.
func placeSections(f *elf.File) error {
	next := uint64(sectionStart)
	for _, s := range f.Sections {
		if s.Addr = 0; s.Flags&elf.SHF_ALLOC == 0 {
			continue
		}
		if s.Size > maxSection {
			return fmt.Errorf("section %q is too large", s.Name)
		}
		s.Addr = next
		next = (next + s.Size + 0xffff) &^ 0xfff
	}
	return nil
}

// address returns a symbol's value, which in a relocatable file is an offset
// in its section.
func (o *object) address(s elf.Symbol) uint64 {
	if o.elf.Type != elf.ET_REL || int(s.Section) >= len(o.elf.Sections) {
		return s.Value
	}
	return o.elf.Sections[s.Section].Addr + s.Value
}

// widths are the relocations that debug sections and .opd are made with, all
// of them "symbol plus addend", with the number of bytes they write. What a
// machine has further is for code.
var widths = map[elf.Machine]map[uint32]uint64{
	elf.EM_X86_64:  {uint32(elf.R_X86_64_64): 8, uint32(elf.R_X86_64_32): 4},
	elf.EM_PPC64:   {uint32(elf.R_PPC64_ADDR64): 8, uint32(elf.R_PPC64_ADDR32): 4},
	elf.EM_AARCH64: {uint32(elf.R_AARCH64_ABS64): 8, uint32(elf.R_AARCH64_ABS32): 4},
	elf.EM_S390:    {uint32(elf.R_390_64): 8, uint32(elf.R_390_32): 4},
}

// content returns the content of section n, unpacked and relocated; budget is
// how many bytes it may unpack to. What needs neither is a part of the file's
// data, which nobody writes to.
func (o *object) content(n int, budget uint64) ([]byte, error) {
	s := o.elf.Sections[n]
	var data []byte
	var err error
	switch {
	case s.Flags&elf.SHF_COMPRESSED == 0:
		data, err = rawSection(s, o.data)
	case s.Size > budget:
		err = fmt.Errorf("section %q is too large", s.Name)
	default:
		data, err = s.Data()
	}
	if err != nil || o.elf.Type != elf.ET_REL {
		return data, err
	}
	data = bytes.Clone(data)
	for _, relocs := range o.elf.Sections {
		if hasAddends(relocs) && int(relocs.Info) == n {
			if err := o.relocate(data, relocs); err != nil {
				return nil, err
			}
		}
	}
	return data, nil
}

// relocate applies one section of relocations.
func (o *object) relocate(data []byte, section *elf.Section) error {
	symbols, err := o.symbols()
	if err != nil {
		return err
	}
	return o.relocations(section, func(at uint64, kind uint32, symbol, addend uint64) {
		width := widths[o.elf.Machine][kind]
		if width == 0 || symbol == 0 || symbol > uint64(len(symbols)) || at > uint64(len(data)) || width > uint64(len(data))-at {
			return
		}
		value := o.address(symbols[symbol-1]) + addend
		if width == 8 {
			o.elf.ByteOrder.PutUint64(data[at:], value)
		} else {
			o.elf.ByteOrder.PutUint32(data[at:], uint32(value))
		}
	})
}

// hasAddends reports whether a section holds relocations with addends, which
// is the kind that all 64-bit machines use.
func hasAddends(s *elf.Section) bool { return s.Type == elf.SHT_RELA } //nolint:misspell // ELF's word

// relocations hands the entries of a section of relocations to f. symbol
// counts from 1; addend may be a negative number.
func (o *object) relocations(section *elf.Section, f func(at uint64, kind uint32, symbol, addend uint64)) error {
	const size = 24 // three words: offset, type and symbol, addend
	data, err := rawSection(section, o.data)
	if err != nil {
		return err
	}
	order := o.elf.ByteOrder
	for ; len(data) >= size; data = data[size:] {
		info := order.Uint64(data[8:])
		f(order.Uint64(data), uint32(info), info>>32, order.Uint64(data[16:]))
	}
	return nil
}

// rawSection returns a section's bytes as they are in the file.
func rawSection(s *elf.Section, data []byte) ([]byte, error) {
	if s.Type == elf.SHT_NOBITS {
		return nil, nil
	}
	if s.Offset > uint64(len(data)) || s.FileSize > uint64(len(data))-s.Offset {
		return nil, fmt.Errorf("section %q ends behind the file's end", s.Name)
	}
	return data[s.Offset : s.Offset+s.FileSize], nil
}
