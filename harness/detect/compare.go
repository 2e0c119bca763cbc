// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"fmt"
	"slices"
)

// A Comparison says how much longer a peer takes than plugstorm.
type Comparison struct {
	Peer   string
	Ratios []float64 // of the median times from QEMU's start, one for each row of ours, sorted
	Bounds int       // of these are lower bounds: the peer found it in less than half of its runs, and its budget counts
}

// Median is the lower median of the ratios.
func (c *Comparison) Median() float64 { return c.Ratios[(len(c.Ratios)-1)/2] }

func (c *Comparison) String() string {
	text := fmt.Sprintf("%s / %s, median times from QEMU's start: %.1f (%.1f to %.1f, %d plants and machines)",
		c.Peer, ours, c.Median(), c.Ratios[0], c.Ratios[len(c.Ratios)-1], len(c.Ratios))
	if c.Bounds > 0 {
		text += fmt.Sprintf(", at least: %d of them are what its budget says, for it missed most", c.Bounds)
	}
	return text
}

// Compare holds each peer against plugstorm, wherever both have all their runs
// and plugstorm detects in most of them.
func (t *Table) Compare() []Comparison {
	var all []Comparison
	for _, peer := range peersOf(t) {
		c := Comparison{Peer: peer}
		for i := range t.Rows {
			if row := &t.Rows[i]; row.By == ours {
				c.add(t, row)
			}
		}
		if len(c.Ratios) > 0 {
			slices.Sort(c.Ratios)
			all = append(all, c)
		}
	}
	return all
}

func (c *Comparison) add(t *Table, row *Row) {
	theirs := t.peerRow(row, c.Peer)
	if theirs == nil || row.Silent || !row.Measured() || !theirs.Measured() || !row.mostly() || row.FromQEMU.Median <= 0 {
		return
	}
	took := theirs.FromQEMU.Median
	if !theirs.mostly() {
		took = max(took, t.Plan.Budget)
		c.Bounds++
	}
	c.Ratios = append(c.Ratios, float64(took)/float64(row.FromQEMU.Median))
}

// mostly reports whether most runs detected something, so that the median of
// those is one of all.
func (row *Row) mostly() bool { return 2*row.Detected > row.Asked }

// peerRow finds a peer's row beside one of ours; nil if there is none.
func (t *Table) peerRow(row *Row, peer string) *Row {
	i := slices.IndexFunc(t.Rows, func(r Row) bool {
		return r.By == peer && r.Subject.Name == row.Subject.Name && r.Machine == row.Machine
	})
	if i < 0 {
		return nil
	}
	return &t.Rows[i]
}
