// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"cmp"
	"slices"
)

// A Tally is what came of all calls that were to fail in a run.
type Tally struct {
	Fired    int      `json:"fired"`     // functions that failed at least once
	NotFired []Unmade `json:"not_fired"` // the rest that were tried: nothing is known of them
	NotTried []string `json:"not_tried"` // the rest of our lists for the machine
	Results  []Result `json:"results"`   // by function
}

// An Unmade is a function that never failed, and why.
type Unmade struct {
	Func string `json:"func"`
	Why  string `json:"why"`
}

// A Result is what came of one function.
type Result struct {
	Func        string `json:"func"`
	Tried       int    `json:"tried"`
	Fired       int    `json:"fired"`
	Unavailable string `json:"unavailable,omitempty"` // why, the last time
}

// WhyNotCalled is said of a function that wasn't called while it was to fail.
const WhyNotCalled = "not called while it was to fail"

// NewTally adds results up, nil if there are none. Sites are the functions that
// could have been tried as well.
func NewTally(results []Result, sites []string) *Tally {
	sums := map[string]*Result{}
	for _, r := range results {
		sum := sums[r.Func]
		if sum == nil {
			sum = &Result{Func: r.Func}
			sums[r.Func] = sum
		}
		sum.Tried, sum.Fired = sum.Tried+r.Tried, sum.Fired+r.Fired
		sum.Unavailable = cmp.Or(r.Unavailable, sum.Unavailable)
	}
	if len(sums) == 0 {
		return nil
	}
	t := &Tally{NotFired: []Unmade{}, NotTried: []string{}}
	for _, f := range sites {
		if sums[f] == nil {
			t.NotTried = append(t.NotTried, f)
		}
	}
	slices.Sort(t.NotTried)
	t.NotTried = slices.Compact(t.NotTried)
	for _, r := range sums {
		t.Results = append(t.Results, *r)
	}
	slices.SortFunc(t.Results, func(a, b Result) int { return cmp.Compare(a.Func, b.Func) })
	for _, r := range t.Results {
		if r.Fired > 0 {
			t.Fired++
		} else {
			t.NotFired = append(t.NotFired, Unmade{r.Func, cmp.Or(r.Unavailable, WhyNotCalled)})
		}
	}
	return t
}

// Result makes a report one of a tally's results.
func (r Report) Result() Result {
	out := Result{Func: r.Func, Tried: 1, Unavailable: r.Unavailable}
	if r.Fired {
		out.Fired = 1
	}
	return out
}
