// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// An object is an ELF file. Everything in it is read when it is first needed.
type object struct {
	name    string
	data    []byte // the whole file, never written to
	release func() error

	elf      *elf.File
	syms     []elf.Symbol          // see symbols
	funcs    map[string][]function // see functions
	dwarf    *debugInfo            // see openDWARF
	dwarfErr error
	root     string // the kernel's source directory with a final slash; "" unknown
}

// newObject opens an ELF file that is in memory.
func newObject(name string, data []byte) (*object, error) {
	o := &object{name: name, data: data}
	if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return nil, missing("name a vmlinux (not a bzImage) and unpacked modules", "%s is no ELF file", name)
	}
	err := guard(name, func() error {
		f, err := elf.NewFile(bytes.NewReader(data))
		if err != nil {
			return err
		}
		if f.Class != elf.ELFCLASS64 {
			return missing("", "%s is for a 32-bit machine (%v)", name, f.Machine)
		}
		o.elf = f
		if f.Type != elf.ET_REL {
			return nil
		}
		if widths[f.Machine] == nil {
			return missing("", "%s: modules for %v can't be read", name, f.Machine)
		}
		return placeSections(f)
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

// symbols returns the symbol table. Entry n of the file is at n-1.
func (o *object) symbols() ([]elf.Symbol, error) {
	if o.syms == nil {
		syms, err := o.elf.Symbols()
		if errors.Is(err, elf.ErrNoSymbols) {
			return nil, missing("name a file that wasn't stripped", "%s has no symbols", o.name)
		}
		if err != nil {
			return nil, err
		}
		o.syms = syms
	}
	return o.syms, nil
}

func (o *object) close() error {
	if o.release == nil {
		return nil
	}
	release := o.release
	*o = object{name: o.name}
	return release()
}

// mapFile maps a file into memory, read-only.
func mapFile(name string) (data []byte, unmap func() error, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return nil, nil, fmt.Errorf("%s is no regular file, or empty", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	data, err = unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, fmt.Errorf("mapping %s: %w", name, err)
	}
	return data, func() error { return unix.Munmap(data) }, nil
}
