// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"debug/dwarf"
	"errors"
	"slices"
)

// checkAbbrevs makes sure that the tables of abbreviations don't overlap. debug/dwarf
// keeps each one that a unit names; overlapping ones would let a small file
// take memory in proportion to its size squared.
func checkAbbrevs(units []unitHeader, abbrev []byte) error {
	var starts []uint64
	for _, u := range units {
		starts = append(starts, u.abbrevs)
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	end := uint64(0)
	for _, start := range starts {
		if start < end || start > uint64(len(abbrev)) {
			return errors.New("its tables of abbreviations overlap or are cut off")
		}
		end = start + abbrevLength(abbrev[start:])
	}
	return nil
}

// abbrevLength returns the length of one table, its final 0 included (DWARF 5,
// section 7.5.3).
func abbrevLength(table []byte) uint64 {
	const implicitConst = 0x21 // DW_FORM_implicit_const
	at := 0
	number := func() (v uint64) { // LEB128; of a long one the low bits
		for shift := 0; at < len(table); shift += 7 {
			b := table[at]
			at++
			v |= uint64(b&0x7f) << shift
			if b < 0x80 {
				break
			}
		}
		return v
	}
	for at < len(table) && number() != 0 {
		number() // the tag
		at++     // has it children?
		for at < len(table) {
			attribute, form := number(), number()
			if attribute == 0 && form == 0 {
				break
			}
			if form == implicitConst {
				number()
			}
		}
	}
	return uint64(min(at, len(table)))
}

// skip moves a Reader behind the children of an entry that it just returned.
// Reader.SkipChildren recurses, and a file could make it overflow the stack.
func skip(r *dwarf.Reader, e *dwarf.Entry) error {
	if !e.Children {
		return nil
	}
	if next, ok := e.Val(dwarf.AttrSibling).(dwarf.Offset); ok && next > e.Offset {
		r.Seek(next)
		return nil
	}
	for depth := 1; depth > 0; {
		child, err := r.Next()
		if err != nil || child == nil {
			return err
		}
		switch {
		case child.Tag == 0:
			depth--
		case child.Children:
			depth++
		}
	}
	return nil
}
