// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"slices"
)

// A Tally is what came of all rules in all guests of a run.
type Tally struct {
	Guests     int          `json:"guests"`      // whose checker answered
	Checked    int          `json:"checked"`     // rules that were checked at least once
	Broken     int          `json:"broken"`      // rules that were violated
	NotChecked []NotChecked `json:"not_checked"` // the rest: neither kept nor broken
	Results    []Result     `json:"results"`     // by rule
	Why        []string     `json:"why"`         // why a guest ran without the checker, or its counts are missing or incomplete
}

// NotChecked is a rule of which nothing is known, and why.
type NotChecked struct {
	Rule string `json:"rule"`
	Why  string `json:"why"`
}

// Reasons for NotChecked.
const (
	WhyNeverHit    = "never called while lockdep was on"
	WhyUnavailable = "the function isn't in this kernel, or inlined"
)

// NewTally adds up what the checkers of several guests said.
func NewTally(guests []*Status, why []string) *Tally {
	t := &Tally{Guests: len(guests), NotChecked: []NotChecked{}, Results: []Result{}, Why: append([]string{}, why...)}
	sums := map[string]*Result{}
	for _, g := range guests {
		for _, r := range g.Rules {
			sum := sums[r.Rule]
			if sum == nil {
				sum = &Result{Rule: r.Rule, Unavailable: true}
				sums[r.Rule] = sum
			}
			sum.Unavailable = sum.Unavailable && r.Unavailable
			sum.Hits, sum.Violations = sum.Hits+r.Hits, sum.Violations+r.Violations
		}
	}
	for _, r := range sums {
		t.Results = append(t.Results, *r)
	}
	slices.SortFunc(t.Results, func(a, b Result) int { return cmp.Compare(a.Rule, b.Rule) })
	for _, r := range t.Results {
		t.file(r)
	}
	return t
}

func (t *Tally) file(r Result) {
	switch {
	case r.Unavailable:
		t.NotChecked = append(t.NotChecked, NotChecked{r.Rule, WhyUnavailable})
	case r.Hits == 0:
		t.NotChecked = append(t.NotChecked, NotChecked{r.Rule, WhyNeverHit})
	default:
		t.Checked++
	}
	if r.Violations > 0 {
		t.Broken++
	}
}
