// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"maps"
	"slices"

	"plugstorm/harness/focus"
	"plugstorm/harness/rules"
)

// A Reach says whether a run ever ran what its patches change.
type Reach struct {
	Functions []Reached `json:"functions"`           // that they change, in the order of the case
	Elsewhere []string  `json:"elsewhere,omitempty"` // files that they change outside of any function: nobody sees whether that is used
	Told      int       `json:"told"`                // guests that said what they called
	Silent    int       `json:"silent"`              // guests that didn't
}

// A Reached is one changed function and its calls in all guests that told.
type Reached struct {
	focus.Place
	rules.Called
}

// Run is how many of the functions were called.
func (r *Reach) Run() int { return r.count(func(f Reached) bool { return f.Calls > 0 }) }

// Unknown is of how many functions nobody knows whether they were called.
func (r *Reach) Unknown() int { return r.count(func(f Reached) bool { return f.Why != "" }) }

func (r *Reach) count(is func(Reached) bool) (n int) {
	for _, f := range r.Functions {
		if is(f) {
			n++
		}
	}
	return n
}

// reach adds up what the guests' checkers counted of the functions that the
// patches change; nil if they change none.
func (j *judge) reach() *Reach {
	if len(j.record.Case.Changed) == 0 {
		return nil
	}
	r := &Reach{Functions: []Reached{}}
	var answers []*rules.Status
	for _, number := range slices.Sorted(maps.Keys(j.guests)) {
		if t := j.guests[number].rules; t != nil && t.status != nil {
			answers = append(answers, t.status)
		} else {
			r.Silent++
		}
	}
	r.Told = len(answers)
	calls := rules.CallsOf(answers)
	for _, place := range j.record.Case.Changed {
		if place.Func == "" {
			r.Elsewhere = append(r.Elsewhere, place.File)
			continue
		}
		r.Functions = append(r.Functions, Reached{place, calls.Of(place.Func)})
	}
	return r
}

// joinReach adds up what several parts of a run called.
func joinReach(parts []Part) *Reach {
	var all *Reach
	for _, p := range parts {
		r := p.Verdict.Reach
		switch {
		case r == nil:
		case all == nil:
			first := *r
			first.Functions = slices.Clone(r.Functions)
			all = &first
		default:
			all.Told, all.Silent = all.Told+r.Told, all.Silent+r.Silent
			for i := range all.Functions {
				all.Functions[i].add(r)
			}
		}
	}
	return all
}

// add adds another part's calls of the function.
func (f *Reached) add(r *Reach) {
	i := slices.IndexFunc(r.Functions, func(o Reached) bool { return o.Place == f.Place })
	if i >= 0 {
		f.Add(r.Functions[i].Called)
	}
}
