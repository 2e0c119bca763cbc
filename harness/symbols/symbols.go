// SPDX-License-Identifier: Apache-2.0

// Package symbols turns the places that a kernel prints (func+offset/size)
// into files and lines, inlined functions included, from the DWARF of the
// vmlinux and the modules that printed them.
//
// ELF files are untrusted. What they make us allocate is in proportion to
// their size; a panic in debug/elf or debug/dwarf becomes a DamagedError; and
// no path that is written in a file is ever opened (split DWARF and
// supplementary files count as no debug information). 64-bit machines that
// debug/elf knows are read: x86_64, ppc64 of either byte order and ABI, arm64,
// s390x, riscv64. Modules for riscv64 are refused: their line tables need more
// relocations (R_RISCV_ADD*, SUB*) than package symbols applies.
package symbols

import (
	"errors"
	"fmt"
	"sync"

	"plugstorm/harness/blame"
)

// A Ref is a place as the kernel prints it (%pS): "func+0x12/0x34 [mod]".
type Ref struct {
	Module string // as in /proc/modules; "" for vmlinux
	Func   string // the symbol, compiler suffixes included ("f.isra.0")
	Offset uint64
	// Size is what kallsyms takes for the function's size: the distance to the
	// next symbol, padding included. 0 if it isn't known.
	Size uint64
	// Return says that the place is a return address: what matters is the call
	// instruction before it. In a stack all frames are but the one that the CPU
	// was in (RIP, NIP, pc). Where no call stands before it, as with some places
	// that lockdep notes (_THIS_IP_), the place is taken as it is.
	Return bool
}

// String is the Ref as the kernel prints it.
func (r Ref) String() string {
	s := fmt.Sprintf("%s+%#x/%#x", r.Func, r.Offset, r.Size)
	if r.Module != "" {
		s += " [" + r.Module + "]"
	}
	return s
}

// A Place is a place in the source.
type Place struct {
	// Func is the function as the source names it: without compiler suffixes,
	// and inlined ones too. Of assembler code it is the symbol.
	Func string `json:"func"`
	// File is relative to the kernel's source directory where it is below it,
	// and cleaned. It comes from an ELF file: escape it where it is shown.
	File string `json:"file"`
	Line int    `json:"line"` // 0 where the compiler gives none
}

// A Table looks places up in a vmlinux and in modules. It may be used
// concurrently; lookups take turns.
type Table struct {
	mu      sync.Mutex
	vmlinux *object
	modules moduleDir
	loaded  map[string]*loadedModule // by module name
	recent  []string                 // names of loaded ones, the last used at the end
}

type loadedModule struct {
	*object
	err error
}

// maxModules bounds the modules that are kept open.
const maxModules = 16

// Open opens a vmlinux, and remembers the directory below which its modules
// (.ko, .ko.debug, .ko.gz, .ko.zst) are looked for when a Ref needs one; "" if
// there are none. A vmlinux without debug information is an error. It takes
// about a second for one of 600 MB, which is mapped, not read. The caller
// closes the Table.
func Open(vmlinux, modulesDir string) (*Table, error) {
	data, unmap, err := mapFile(vmlinux)
	if err != nil {
		return nil, blame.On(blame.User, err, "name the vmlinux of the kernel's build")
	}
	o, err := newObject(vmlinux, data)
	if err == nil {
		o.release = unmap
		err = o.openDWARF()
	}
	if err != nil {
		return nil, errors.Join(err, unmap())
	}
	return &Table{vmlinux: o, modules: moduleDir{dir: modulesDir, limit: maxEntries}, loaded: map[string]*loadedModule{}}, nil
}

// Close gives the files back. The Table is of no use afterwards.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.vmlinux.close()
}

// Locate returns the places of a Ref, the innermost inlined function first and
// the function that the symbol stands for last. Its errors are, in a
// blame.Error: *MismatchError, *AmbiguousError, *MissingError, *DamagedError.
func (t *Table) Locate(r Ref) ([]Place, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, err := t.object(r.Module)
	if err != nil {
		return nil, err
	}
	return o.locate(r)
}

// object returns the object file of a module, or vmlinux for "".
func (t *Table) object(module string) (*object, error) {
	if module == "" {
		return t.vmlinux, nil
	}
	m := t.loaded[module]
	if m == nil {
		m = &loadedModule{}
		m.object, m.err = t.modules.open(module)
		if m.err == nil {
			m.root = t.vmlinux.root
		}
		t.loaded[module] = m
	}
	t.used(module)
	return m.object, m.err
}

// used notes that a module was used, and forgets the one that wasn't for longest.
func (t *Table) used(module string) {
	for i, name := range t.recent {
		if name == module {
			t.recent = append(t.recent[:i], t.recent[i+1:]...)
			break
		}
	}
	t.recent = append(t.recent, module)
	if len(t.recent) > maxModules {
		delete(t.loaded, t.recent[0])
		t.recent = t.recent[1:]
	}
}
