// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"maps"
	"slices"
	"time"

	"plugstorm/harness/focus"
	"plugstorm/harness/verdict"
)

// A Table is what a benchmark has measured so far.
type Table struct {
	Plan   *Plan
	Rows   []Row
	Shared []Shared // identities that don't tell the subjects apart
}

// A Row is what was measured of a cell. Of its Asked runs, each is in exactly
// one of Detected, Missed, Unknown and Unmeasured.
type Row struct {
	Cell
	Asked      int
	Detected   int // ended by a finding
	Missed     int // the whole budget without one: what a negative control wants
	Unknown    int // told nothing, twice
	Unmeasured int // have no result
	Expected   int // detected, and the right finding is among theirs; see Subject.Match

	FromQEMU  Times // from QEMU's start to the first finding
	FromAgent Times // from the agent's
	Detectors []Count
	Titles    []Count // of first findings
	First     []Count // identities of first findings
	Seen      []Count // identities of all findings
	Known     []Count // known issues, by runs that met them

	Kernels int    // different ones that were run: more than one if the source or a patch has changed meanwhile
	Ops     int    // done, in all runs
	Changed int    // functions that the bug's patch changes, as the last run has them
	Reached int    // of these, functions that were called in any run
	Release string // of the kernel, of the last run
	QEMU    string
	Accel   string
	Started time.Time // of the last run
}

// Times are of what was detected; zero if nothing was.
type Times struct{ Median, Max time.Duration }

// A Count says how often something was seen.
type Count struct {
	Name string `json:"name"`
	N    int    `json:"n"`
}

// Shared is an identity under which findings of several subjects go.
type Shared struct {
	Identity string   `json:"identity"`
	Subjects []string `json:"subjects"`
}

// NewTable counts what results say of a plan. Results of anything else are
// left out.
func NewTable(p *Plan, results []Result) *Table {
	t := &Table{Plan: p}
	owners := map[string]map[string]bool{}
	for _, c := range p.Cells() {
		row := Row{Cell: c, Asked: p.Seeds}
		tally := newTally()
		for i := range p.Seeds {
			r := p.Measured(c, p.First+int64(i), results)
			if r == nil {
				row.Unmeasured++
				continue
			}
			row.take(r, tally)
		}
		row.conclude(tally)
		for identity := range tally.first {
			if owners[identity] == nil {
				owners[identity] = map[string]bool{}
			}
			owners[identity][c.Subject.Name] = true
		}
		t.Rows = append(t.Rows, row)
	}
	for _, identity := range slices.Sorted(maps.Keys(owners)) {
		if subjects := slices.Sorted(maps.Keys(owners[identity])); len(subjects) > 1 {
			t.Shared = append(t.Shared, Shared{identity, subjects})
		}
	}
	return t
}

// A tally is what a row's results hold before they are counted out.
type tally struct {
	qemu, agent                           []time.Duration
	detectors, titles, first, seen, known map[string]int
	kernels                               map[string]bool      // by key
	reached                               map[focus.Place]bool // what was called
}

func newTally() *tally {
	return &tally{detectors: map[string]int{}, titles: map[string]int{}, first: map[string]int{}, seen: map[string]int{}, known: map[string]int{}, kernels: map[string]bool{}, reached: map[focus.Place]bool{}}
}

// take counts one run.
func (row *Row) take(r *Result, t *tally) {
	row.Ops += r.Done
	if r.Key != "" {
		t.kernels[r.Key] = true
	}
	row.Release, row.QEMU, row.Accel, row.Started = r.Release, r.QEMU, r.Accel, r.Started
	row.reach(r.Reach, t)
	for _, issue := range distinct(r.Known) {
		t.known[issue]++
	}
	first := r.First()
	switch {
	case first != nil:
		row.Detected++
	case r.Status == verdict.Clean:
		row.Missed++
		return
	default:
		row.Unknown++
		return
	}
	if r.Expected(row.Subject) {
		row.Expected++
	}
	t.qemu, t.agent = append(t.qemu, first.At), append(t.agent, first.AtAgent)
	t.detectors[first.Detector]++
	t.titles[first.Title]++
	t.first[first.Identity]++
	var all []string
	for _, f := range r.Findings {
		all = append(all, f.Identity)
	}
	for _, identity := range distinct(all) {
		t.seen[identity]++
	}
}

// reach counts which changed functions a run called.
func (row *Row) reach(r *verdict.Reach, t *tally) {
	if r == nil {
		return
	}
	row.Changed = len(r.Functions)
	for _, f := range r.Functions {
		if f.Calls > 0 {
			t.reached[f.Place] = true
		}
	}
	row.Reached = len(t.reached)
}

func (row *Row) conclude(t *tally) {
	row.FromQEMU, row.FromAgent = times(t.qemu), times(t.agent)
	row.Detectors, row.Titles = counts(t.detectors), counts(t.titles)
	row.First, row.Seen, row.Known = counts(t.first), counts(t.seen), counts(t.known)
	row.Kernels = len(t.kernels)
}

// Measured reports whether every run told something.
func (row *Row) Measured() bool { return row.Unknown+row.Unmeasured == 0 }

// Complete reports whether everything was measured that was to be.
func (t *Table) Complete() bool {
	return !slices.ContainsFunc(t.Rows, func(r Row) bool { return !r.Measured() })
}

// distinct is a sorted copy without repetitions.
func distinct(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// counts lists the most frequent first.
func counts(m map[string]int) []Count {
	var all []Count
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, Count{name, m[name]})
	}
	slices.SortStableFunc(all, func(a, b Count) int { return b.N - a.N })
	return all
}

// times takes the lower of two medians, so that it is one that was measured.
func times(all []time.Duration) Times {
	if len(all) == 0 {
		return Times{}
	}
	slices.Sort(all)
	return Times{all[(len(all)-1)/2], all[len(all)-1]}
}
