// SPDX-License-Identifier: Apache-2.0

package symbols

import "debug/elf"

// A descriptorTable is .opd of the 64-bit PowerPC ELF ABI version 1: a
// function's symbol stands for a descriptor there, whose first word is the
// address of the code. The other machines have none.
type descriptorTable struct {
	section elf.SectionIndex
	addr    uint64
	words   map[uint64]uint64 // by address
}

// descriptors reads .opd; nil if there is none.
func (o *object) descriptors() (*descriptorTable, error) {
	if o.elf.Machine != elf.EM_PPC64 {
		return nil, nil
	}
	for i, s := range o.elf.Sections {
		if s.Name != ".opd" {
			continue
		}
		data, err := o.content(i, 0)
		if err != nil {
			return nil, err
		}
		t := &descriptorTable{elf.SectionIndex(i), s.Addr, map[uint64]uint64{}}
		for at := 0; at+8 <= len(data); at += 8 {
			t.words[s.Addr+uint64(at)] = o.elf.ByteOrder.Uint64(data[at:])
		}
		return t, o.relocateOPD(t, s.Size)
	}
	return nil, nil
}

// relocateOPD applies the dynamic relocations of a position-independent
// vmlinux, whose .opd may hold nothing but zeros.
func (o *object) relocateOPD(t *descriptorTable, size uint64) error {
	if o.elf.Type != elf.ET_DYN {
		return nil
	}
	for _, s := range o.elf.Sections {
		if !hasAddends(s) || s.Flags&elf.SHF_ALLOC == 0 {
			continue
		}
		err := o.relocations(s, func(at uint64, kind uint32, _, addend uint64) {
			if kind == uint32(elf.R_PPC64_RELATIVE) && at-t.addr < size {
				t.words[at] = addend
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// code returns the address of the code that a symbol at addr stands for.
func (t *descriptorTable) code(s elf.Symbol, addr uint64) uint64 {
	if t != nil && s.Section == t.section {
		if word, ok := t.words[addr]; ok {
			return word
		}
	}
	return addr
}
