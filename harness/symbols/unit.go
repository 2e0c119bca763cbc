// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"cmp"
	"debug/dwarf"
	"errors"
	"io"
	"slices"
)

// A unitIndex is what lookups need of a unit, in memory.
type unitIndex struct {
	sequences []sequence
	files     []*dwarf.LineFile // as DW_AT_call_file counts them; entries may be nil
	functions []span            // owner is the entry's offset
}

// A sequence is a part of the line table whose addresses rise.
type sequence struct {
	low, high uint64 // high is behind it
	rows      []row
}

type row struct {
	addr uint64
	file *dwarf.LineFile
	line int
}

// rowOf returns the row of the line table that an address belongs to: the
// last one that doesn't begin behind it.
func (x *unitIndex) rowOf(pc uint64) (row, bool) {
	for _, s := range x.sequences {
		if pc >= s.low && pc < s.high {
			i, _ := slices.BinarySearchFunc(s.rows, pc+1, func(r row, pc uint64) int { return cmp.Compare(r.addr, pc) })
			return s.rows[i-1], true
		}
	}
	return row{}, false
}

func (x *unitIndex) size() int {
	n := len(x.functions) + len(x.files)
	for _, s := range x.sequences {
		n += len(s.rows)
	}
	return n
}

// A unitCache keeps the units that were used last.
type unitCache struct {
	indexes map[int]*unitIndex // by unit
	recent  []int              // units, the last used at the end
	size    int
}

// maxCached bounds the cache, in rows, functions and files: about 40 MB. One
// unit may exceed it alone.
const maxCached = 1 << 20

func (c *unitCache) get(unit int) *unitIndex {
	if x := c.indexes[unit]; x != nil {
		i := slices.Index(c.recent, unit)
		c.recent = append(slices.Delete(c.recent, i, i+1), unit)
		return x
	}
	return nil
}

func (c *unitCache) put(unit int, x *unitIndex) {
	for c.size += x.size(); c.size > maxCached && len(c.recent) > 0; c.recent = c.recent[1:] {
		c.size -= c.indexes[c.recent[0]].size()
		delete(c.indexes, c.recent[0])
	}
	if c.indexes == nil {
		c.indexes = map[int]*unitIndex{}
	}
	c.indexes[unit] = x
	c.recent = append(c.recent, unit)
}

// unitIndex reads a unit.
func (d *debugInfo) unitIndex(n int) (*unitIndex, error) {
	if x := d.cache.get(n); x != nil {
		return x, nil
	}
	x, u := &unitIndex{}, d.units[n]
	r := d.data.Reader()
	r.Seek(u.offset)
	root, err := r.Next()
	if err != nil {
		return nil, err
	}
	if err := x.readLines(d.data, root); err != nil {
		return nil, err
	}
	if root.Children {
		if err := x.readFunctions(d.data, r, u); err != nil {
			return nil, err
		}
	}
	d.cache.put(n, x)
	return x, nil
}

// readLines runs the unit's line number program.
func (x *unitIndex) readLines(data *dwarf.Data, root *dwarf.Entry) error {
	lines, err := data.LineReader(root)
	if err != nil || lines == nil {
		return err
	}
	var s sequence
	for {
		var e dwarf.LineEntry
		if err := lines.Next(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if !e.EndSequence {
			s.rows = append(s.rows, row{e.Address, e.File, e.Line})
			continue
		}
		if len(s.rows) > 0 {
			slices.SortStableFunc(s.rows, func(a, b row) int { return cmp.Compare(a.addr, b.addr) })
			s.low, s.high = s.rows[0].addr, e.Address
			x.sequences = append(x.sequences, s)
		}
		s = sequence{}
	}
	x.files = lines.Files()
	return nil
}

// readFunctions notes the functions of a unit whose root was just read. They
// stand at its top, or in namespaces (Rust).
func (x *unitIndex) readFunctions(data *dwarf.Data, r *dwarf.Reader, u unit) error {
	for depth := 1; depth > 0; {
		e, err := r.Next()
		if err != nil {
			return err
		}
		if e == nil || e.Offset >= u.end {
			return nil
		}
		switch e.Tag {
		case 0:
			depth--
			continue
		case dwarf.TagNamespace, dwarf.TagModule:
			if e.Children {
				depth++
			}
			continue
		case dwarf.TagSubprogram:
			ranges, err := data.Ranges(e)
			if err != nil {
				return err
			}
			for _, rg := range ranges {
				x.functions = append(x.functions, span{rg[0], rg[1], int(e.Offset)})
			}
		}
		if err := skip(r, e); err != nil {
			return err
		}
	}
	return nil
}
