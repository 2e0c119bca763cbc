// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"errors"
	"path"
	"slices"
	"strings"
)

// Bounds on what debug information may make us allocate.
const (
	maxInflation = 64      // of compressed sections, times the file's size
	maxSpans     = 1 << 22 // address ranges of all units
)

// A debugInfo is the DWARF of one object. Of the units it knows their
// addresses only; the units that were used last are kept in cache.
type debugInfo struct {
	name  string // of the file
	data  *dwarf.Data
	units []unit
	spans []span // of all units
	cache unitCache
}

// A unit is a compilation unit: one C file as a rule.
type unit struct {
	offset  dwarf.Offset // of its root entry
	end     dwarf.Offset
	compDir string
}

// A span is a range of addresses with what it belongs to.
type span struct {
	low, high uint64 // high is behind it
	owner     int
}

// narrowest returns the owner of the smallest span around an address.
func narrowest(spans []span, pc uint64) (owner int, ok bool) {
	var best span
	for _, s := range spans {
		if pc >= s.low && pc < s.high && (!ok || s.high-s.low < best.high-best.low) {
			best, ok = s, true
		}
	}
	return best.owner, ok
}

// openDWARF reads which units there are, once; what is wrong with them it says
// every time.
func (o *object) openDWARF() error {
	if o.dwarf == nil && o.dwarfErr == nil {
		o.dwarfErr = guard(o.name, o.readDWARF)
	}
	return o.dwarfErr
}

func (o *object) readDWARF() error {
	sections, err := o.debugSections()
	if err != nil {
		return err
	}
	if len(sections["info"]) == 0 || len(sections["line"]) == 0 {
		return missing("build the kernel with --feature debuginfo (CONFIG_DEBUG_INFO)", "%s has no debug information", o.name)
	}
	d := &debugInfo{name: o.name}
	headers, err := unitHeaders(o.elf.ByteOrder, sections["info"])
	if err != nil {
		return err
	}
	if err := checkAbbrevs(headers, sections["abbrev"]); err != nil {
		return err
	}
	if d.data, err = parseDWARF(sections); err != nil {
		return err
	}
	if err := d.index(o, headers); err != nil {
		return err
	}
	if len(d.spans) == 0 {
		return missing("build the kernel without CONFIG_DEBUG_INFO_SPLIT", "%s has debug information, but none of code", o.name)
	}
	o.dwarf = d
	return nil
}

// neededSections are the debug sections that places are in.
var neededSections = []string{"abbrev", "addr", "info", "line", "line_str", "ranges", "rnglists", "str", "str_offsets"}

// debugSections returns the debug sections by name, ".debug_" cut off.
func (o *object) debugSections() (map[string][]byte, error) {
	sections := map[string][]byte{}
	budget := uint64(len(o.data)) * maxInflation
	for i, s := range o.elf.Sections {
		name, ok := strings.CutPrefix(s.Name, ".debug_")
		if !ok || !slices.Contains(neededSections, name) || sections[name] != nil {
			continue
		}
		data, err := o.content(i, budget)
		if err != nil {
			return nil, err
		}
		if s.Flags&elf.SHF_COMPRESSED != 0 {
			budget -= uint64(len(data))
		}
		sections[name] = data
	}
	return sections, nil
}

// parseDWARF hands the sections to debug/dwarf.
func parseDWARF(sections map[string][]byte) (*dwarf.Data, error) {
	data, err := dwarf.New(sections["abbrev"], nil, nil, sections["info"], sections["line"], nil, sections["ranges"], sections["str"])
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"addr", "line_str", "rnglists", "str_offsets"} {
		if len(sections[name]) > 0 {
			if err := data.AddSection(".debug_"+name, sections[name]); err != nil {
				return nil, err
			}
		}
	}
	return data, nil
}

// A unitHeader says where a unit is and which abbreviations it uses.
type unitHeader struct {
	offset, end dwarf.Offset // of the root entry, and behind the unit
	abbrevs     uint64
	types       bool // it has types, not code
}

// unitHeaders reads the headers of all units (DWARF 5, section 7.5.1; 7.4 for
// the 64-bit format).
func unitHeaders(order binary.ByteOrder, info []byte) ([]unitHeader, error) {
	var units []unitHeader
	for at := uint64(0); at < uint64(len(info)); {
		var b [24]byte // as long as the longest header that matters
		left := uint64(len(info)) - at
		copy(b[:], info[at:])
		length, head, word := uint64(order.Uint32(b[:])), uint64(4), uint64(4)
		if length == 0xffffffff {
			length, head, word = order.Uint64(b[4:]), 12, 8
		}
		version, kind := order.Uint16(b[head:]), b[head+2]
		abbrevs, first := head+2, head+2+word+1
		if version >= 5 {
			abbrevs, first = head+4, head+4+word
		} else {
			kind = 1 // DW_UT_compile
		}
		switch {
		case head > left || length > left-head || length > 0 && first > head+length:
			return nil, errors.New("a unit in .debug_info is cut off")
		case length > 0:
			h := unitHeader{offset: dwarf.Offset(at + first), end: dwarf.Offset(at + head + length), types: kind != 1}
			if h.abbrevs = uint64(order.Uint32(b[abbrevs:])); word == 8 {
				h.abbrevs = order.Uint64(b[abbrevs:])
			}
			units = append(units, h)
		}
		at += head + length
	}
	return units, nil
}

// index notes the addresses of all units, and the source directory.
func (d *debugInfo) index(o *object, headers []unitHeader) error {
	r := d.data.Reader()
	for _, h := range headers {
		if h.types || h.offset >= h.end {
			continue
		}
		r.Seek(h.offset)
		root, err := r.Next()
		if err != nil {
			return err
		}
		if root == nil || root.Tag != dwarf.TagCompileUnit {
			continue
		}
		ranges, err := d.data.Ranges(root)
		if err != nil {
			return err
		}
		if len(d.spans)+len(ranges) > maxSpans {
			return errors.New("its units have too many address ranges")
		}
		u := unit{offset: h.offset, end: h.end}
		u.compDir, _ = root.Val(dwarf.AttrCompDir).(string)
		name, _ := root.Val(dwarf.AttrName).(string)
		o.noteRoot(name, u.compDir)
		for _, rg := range ranges {
			d.spans = append(d.spans, span{rg[0], rg[1], len(d.units)})
		}
		d.units = append(d.units, u)
	}
	return nil
}

// noteRoot learns the source directory from the unit that every kernel has.
func (o *object) noteRoot(name, compDir string) {
	const always = "init/main.c"
	if o.root != "" || !strings.HasSuffix(name, always) {
		return
	}
	if !path.IsAbs(name) {
		name = path.Join(compDir, name)
	}
	if dir, ok := strings.CutSuffix(path.Clean(name), always); ok && strings.HasSuffix(dir, "/") {
		o.root = dir
	}
}
