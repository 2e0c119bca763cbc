// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"debug/dwarf"
	"path"
	"slices"
	"strconv"
	"strings"

	"plugstorm/harness/blame"
)

// maxName bounds a name out of debug information, in bytes.
const maxName = 1024

// position is "file:line".
func (p Place) position() string {
	if p.Line == 0 {
		return p.File + ":?"
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

// locate looks a Ref up in this object.
func (o *object) locate(r Ref) (places []Place, err error) {
	if err := o.openDWARF(); err != nil {
		return nil, err
	}
	err = guard(o.name, func() error {
		places, err = o.places(r)
		return err
	})
	return places, err
}

// places returns the places of the one function that a Ref means. Copies of a
// function that several units have from one header are one.
func (o *object) places(r Ref) ([]Place, error) {
	functions, err := o.find(r)
	if err != nil {
		return nil, err
	}
	var all [][]Place
	for _, f := range functions {
		pc := f.addr + r.Offset
		if r.Return && r.Offset > 0 && o.afterCall(pc) {
			pc--
		} else if r.Offset > 0 && r.Offset == r.Size {
			// A stale word on the stack: the address of the next function, which the
			// kernel took for a return address ("? f+0x20/0x20").
			return nil, missing("", "%v: no call ends there", r)
		}
		places, err := o.dwarf.placesOf(pc, r.Func, o.root)
		if err != nil {
			return nil, err
		}
		if len(places) > 0 && !slices.ContainsFunc(all, func(p []Place) bool { return slices.Equal(p, places) }) {
			all = append(all, places)
		}
	}
	switch len(all) {
	case 0:
		return nil, missing("", "%v: %s has no line for it", r, o.name)
	case 1:
		return all[0], nil
	}
	e := &AmbiguousError{Ref: r}
	for _, places := range all[:min(len(all), maxSizes)] {
		e.Places = append(e.Places, places[len(places)-1])
	}
	return nil, blame.On(blame.User, e, "look at both places")
}

// placesOf returns the places of an address, none if there is no line for it.
func (d *debugInfo) placesOf(pc uint64, symbol, root string) ([]Place, error) {
	n, ok := narrowest(d.spans, pc)
	if !ok {
		return nil, nil
	}
	x, err := d.unitIndex(n)
	if err != nil {
		return nil, err
	}
	row, ok := x.rowOf(pc)
	if !ok {
		return nil, nil
	}
	u := d.units[n]
	here := Place{File: relative(row.file, u.compDir, root), Line: row.line}
	offset, ok := narrowest(x.functions, pc)
	if !ok { // assembler code
		here.Func = symbol
		return []Place{here}, nil
	}
	chain, err := d.inlined(u, dwarf.Offset(offset), pc)
	if err != nil {
		return nil, err
	}
	var places []Place
	for _, e := range slices.Backward(chain) {
		if here.Func, err = d.nameOf(e); err != nil {
			return nil, err
		}
		here.Func = clip(here.Func)
		if here.Func == "" {
			here.Func = symbol
		}
		places = append(places, here)
		here = x.caller(e, u, root)
	}
	return places, nil
}

// caller is where an inlined function's entry says it was called.
func (x *unitIndex) caller(e *dwarf.Entry, u unit, root string) Place {
	file, _ := e.Val(dwarf.AttrCallFile).(int64)
	line, _ := e.Val(dwarf.AttrCallLine).(int64)
	var f *dwarf.LineFile
	if file >= 0 && file < int64(len(x.files)) {
		f = x.files[file]
	}
	return Place{File: relative(f, u.compDir, root), Line: int(line)}
}

// relative is a file's name below the kernel's source directory. Of a file
// that isn't there (a module's own, assembler code where the compiler was told
// to write other directories) it is the name below the directory that the file
// shares with the one it was compiled in.
func relative(f *dwarf.LineFile, compDir, root string) string {
	if f == nil {
		return "??"
	}
	name := path.Clean(clip(f.Name)) // debug/dwarf has put compDir before it
	if rest, ok := strings.CutPrefix(name, root); ok && root != "" {
		return rest
	}
	for dir := path.Clean(clip(compDir)); dir != "/" && dir != "."; dir = path.Dir(dir) {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
			return rest
		}
	}
	for strings.HasPrefix(name, "../") {
		name = name[3:]
	}
	return name
}

func clip(name string) string { return name[:min(len(name), maxName)] }
