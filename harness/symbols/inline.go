// SPDX-License-Identifier: Apache-2.0

package symbols

import "debug/dwarf"

// Bounds on what one address may have us follow.
const (
	maxInline  = 64 // functions inlined into each other
	maxOrigins = 8  // entries between an instance and the entry with its name
)

// inlined returns the entries around an address: the function at the given
// offset, and what is inlined into it there, from the outside to the inside.
func (d *debugInfo) inlined(u unit, offset dwarf.Offset, pc uint64) ([]*dwarf.Entry, error) {
	r := d.data.Reader()
	r.Seek(offset)
	e, err := r.Next()
	if err != nil || e == nil {
		return nil, err
	}
	chain := []*dwarf.Entry{e}
	depth := 0
	if e.Children {
		depth = 1
	}
	for depth > 0 && len(chain) < maxInline {
		if e, err = r.Next(); err != nil {
			return nil, err
		}
		if e == nil || e.Offset >= u.end {
			break
		}
		if e.Tag == 0 {
			depth--
			continue
		}
		around, err := d.around(e, pc)
		switch {
		case err != nil:
			return nil, err
		case !around:
			if err := skip(r, e); err != nil {
				return nil, err
			}
			continue
		case e.Tag == dwarf.TagInlinedSubroutine:
			chain = append(chain, e)
			depth = 0 // nothing beside it is around pc
		}
		if e.Children {
			depth++
		}
	}
	return chain, nil
}

// around reports whether an entry is an inlined function or a block around an
// address. Blocks that give no addresses may be.
func (d *debugInfo) around(e *dwarf.Entry, pc uint64) (bool, error) {
	if e.Tag != dwarf.TagInlinedSubroutine && e.Tag != dwarf.TagLexDwarfBlock {
		return false, nil
	}
	ranges, err := d.data.Ranges(e)
	if err != nil {
		return false, err
	}
	for _, rg := range ranges {
		if pc >= rg[0] && pc < rg[1] {
			return true, nil
		}
	}
	return e.Tag == dwarf.TagLexDwarfBlock && len(ranges) == 0 && e.AttrField(dwarf.AttrRanges) == nil, nil
}

// nameOf returns the name of a function's entry, "" if it has none. An
// instance refers to the entry with the name.
func (d *debugInfo) nameOf(e *dwarf.Entry) (string, error) {
	for range maxOrigins {
		if name, ok := e.Val(dwarf.AttrName).(string); ok {
			return name, nil
		}
		origin, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
		if !ok {
			if origin, ok = e.Val(dwarf.AttrSpecification).(dwarf.Offset); !ok {
				return "", nil
			}
		}
		r := d.data.Reader()
		r.Seek(origin)
		next, err := r.Next()
		if err != nil || next == nil {
			return "", err
		}
		e = next
	}
	return "", nil
}
