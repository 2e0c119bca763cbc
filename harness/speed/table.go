// SPDX-License-Identifier: Apache-2.0

package speed

import (
	"slices"
)

// A Row is what was measured of one thing, over its repetitions.
type Row struct {
	Part    *Part
	Machine string
	What    string
	Size    int
	Stats   map[string]Stat // by measure; those that were measured
	Notes   []string        // why something is missing, each once
	Failed  int             // repetitions that failed
}

// A Stat is about one measure. Its median is the upper one of the middle.
type Stat struct {
	N                int
	Median, Min, Max float64
}

// A RatioRow compares two rows.
type RatioRow struct {
	Part    *Part
	Machine string
	Of, By  Way
	Stat    Stat // of the quotients, one a repetition
}

// A Way is what a row is about, apart from its machine.
type Way struct {
	What string
	Size int // 0 where nothing grows
}

// A Table is what a benchmark has measured so far.
type Table struct {
	Rows   []Row
	Ratios []RatioRow
}

// NewTable counts samples. Rows come in the order of Parts, and then as they were
// measured first.
func NewTable(samples []Sample) *Table {
	t := &Table{}
	for i := range Parts {
		p := &Parts[i]
		for _, s := range samples {
			if s.Part == p.Name && t.row(p, s) == nil {
				t.Rows = append(t.Rows, newRow(p, s, samples))
			}
		}
		for _, machine := range distinct(p.Name, samples, func(s Sample) string { return s.Machine }) {
			for _, c := range comparisons(p, samples) {
				if q := quotients(p, machine, c[0], c[1], samples); len(q) > 0 {
					t.Ratios = append(t.Ratios, RatioRow{p, machine, c[0], c[1], stat(q)})
				}
			}
		}
	}
	return t
}

// comparisons lists what is to be compared in a part: of, by.
func comparisons(p *Part, samples []Sample) [][2]Way {
	var all [][2]Way
	sizes := slices.Sorted(slices.Values(distinct(p.Name, samples, func(s Sample) int { return s.Size })))
	for _, r := range p.Ratios {
		for _, size := range sizes {
			all = append(all, [2]Way{{r.Of, size}, {r.By, size}})
		}
	}
	if p.Growth {
		for _, what := range p.What {
			for _, size := range sizes[1:] {
				all = append(all, [2]Way{{what, size}, {what, sizes[0]}})
			}
		}
	}
	return all
}

// Complete reports whether nothing failed, and something was measured.
func (t *Table) Complete() bool {
	return len(t.Rows) > 0 && !slices.ContainsFunc(t.Rows, func(r Row) bool { return r.Failed > 0 })
}

func (t *Table) row(p *Part, s Sample) *Row {
	i := slices.IndexFunc(t.Rows, func(r Row) bool { return r.Part == p && r.same(s) })
	if i < 0 {
		return nil
	}
	return &t.Rows[i]
}

// same reports whether a sample belongs to the row.
func (r *Row) same(s Sample) bool {
	return s.Part == r.Part.Name && s.Machine == r.Machine && s.What == r.What && s.Size == r.Size
}

func newRow(p *Part, first Sample, samples []Sample) Row {
	r := Row{Part: p, Machine: first.Machine, What: first.What, Size: first.Size, Stats: map[string]Stat{}}
	values := map[string][]float64{}
	for _, s := range samples {
		if !r.same(s) {
			continue
		}
		if s.Failed {
			r.Failed++
		}
		if s.Note != "" && !slices.Contains(r.Notes, s.Note) {
			r.Notes = append(r.Notes, s.Note)
		}
		for _, m := range p.Measures {
			if v, ok := s.Values[m.Name]; ok {
				values[m.Name] = append(values[m.Name], v)
			}
		}
	}
	for name, list := range values {
		r.Stats[name] = stat(list)
	}
	return r
}

func stat(list []float64) Stat {
	slices.Sort(list)
	return Stat{len(list), list[len(list)/2], list[0], list[len(list)-1]}
}

// distinct lists what the samples of a part have in common with no earlier one.
func distinct[T comparable](part string, samples []Sample, of func(Sample) T) []T {
	var all []T
	for _, s := range samples {
		if s.Part == part && !slices.Contains(all, of(s)) {
			all = append(all, of(s))
		}
	}
	return all
}

// quotients are those of one way by another one, one for each repetition that has
// both.
func quotients(p *Part, machine string, of, by Way, samples []Sample) []float64 {
	value := func(w Way, rep int) float64 {
		for _, s := range samples {
			if s.Part == p.Name && s.Machine == machine && s.Rep == rep && (Way{s.What, s.Size}) == w {
				return s.Values[p.Measures[0].Name]
			}
		}
		return 0
	}
	var all []float64
	for _, rep := range distinct(p.Name, samples, func(s Sample) int { return s.Rep }) {
		if a, b := value(of, rep), value(by, rep); a > 0 && b > 0 {
			all = append(all, a/b)
		}
	}
	return all
}
