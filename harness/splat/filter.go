// SPDX-License-Identifier: Apache-2.0

package splat

import "bytes"

// minAnchor is the length of the window that a filter looks at, and so the
// least length of an anchor.
const minAnchor = 5

// A filter finds the next place in a block of bytes where one of many strings
// stands. It is Wu and Manber's multi-string search with blocks of two bytes:
// a window of minAnchor bytes slides over the text, and the pair of bytes at
// its end tells how far it may jump. Ordinary console text is passed over at
// about four bytes a step. Of each anchor the window with the rarest pairs is
// used, so that words like "kernel" don't slow it down.
type filter struct {
	shift  [1 << 16]uint8 // by pair: how far the window may move; 0 means look
	bucket [1 << 16]uint8 // by pair, where shift is 0: index into probes
	probes [][]probe
}

// A probe is an anchor whose chosen window ends in a given pair.
type probe struct {
	anchor []byte
	at     int // offset of the window's last byte in the anchor
}

func newFilter(anchors []string) *filter {
	f := &filter{}
	for i := range f.shift {
		f.shift[i] = minAnchor - 1
	}
	seen := map[string]bool{}
	for _, a := range anchors {
		if len(a) < minAnchor {
			panic("splat: the anchor " + a + " is too short")
		}
		if seen[a] {
			continue
		}
		seen[a] = true
		f.add([]byte(a))
	}
	return f
}

func (f *filter) add(anchor []byte) {
	start := rarest(anchor)
	window := anchor[start : start+minAnchor]
	last := pairOf(window[minAnchor-2], window[minAnchor-1])
	if f.shift[last] != 0 {
		f.bucket[last] = uint8(len(f.probes))
		f.probes = append(f.probes, nil)
	}
	at := f.bucket[last]
	f.probes[at] = append(f.probes[at], probe{anchor, start + minAnchor - 1})
	for i := 1; i < minAnchor; i++ {
		pair := pairOf(window[i-1], window[i])
		f.shift[pair] = min(f.shift[pair], uint8(minAnchor-1-i))
	}
}

func pairOf(a, b byte) uint16 { return uint16(a)<<8 | uint16(b) }

// rarest returns where the window of an anchor starts whose bytes are the
// least common in console text.
func rarest(anchor []byte) int {
	best, bestCost := 0, 1<<30
	for start := 0; start+minAnchor <= len(anchor); start++ {
		cost := 0
		for i := start + 1; i < start+minAnchor; i++ {
			cost += commonness(anchor[i-1]) * commonness(anchor[i])
		}
		last := start + minAnchor - 1 // this pair makes the search stop and look
		cost += 8 * commonness(anchor[last-1]) * commonness(anchor[last])
		if cost < bestCost {
			best, bestCost = start, cost
		}
	}
	return best
}

// commonness grades a byte by how often console text has it.
func commonness(c byte) int {
	switch {
	case c == ' ' || c >= '0' && c <= '9':
		return 6
	case c >= 'a' && c <= 'z':
		return 4
	}
	return 1
}

// next returns the offset of a byte inside the first anchor found in b, or -1.
func (f *filter) next(b []byte) int {
	for i := minAnchor - 1; i < len(b); {
		pair := pairOf(b[i-1], b[i])
		if s := f.shift[pair]; s != 0 {
			i += int(s)
			continue
		}
		if f.match(b, i, f.probes[f.bucket[pair]]) {
			return i
		}
		i++
	}
	return -1
}

func (f *filter) match(b []byte, i int, probes []probe) bool {
	for _, p := range probes {
		from := i - p.at
		if from >= 0 && from+len(p.anchor) <= len(b) && bytes.Equal(b[from:from+len(p.anchor)], p.anchor) {
			return true
		}
	}
	return false
}
