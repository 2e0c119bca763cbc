// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"slices"
	"time"
)

// InTurn makes a scenario of several: guest after guest gets the next one, for
// slice at most. The seed says with which one it begins. A lane goes on, in its
// scenario's next guest, where it stopped in the last one.
//
// Many scenarios at once choke the guest, and then nothing overlaps that was
// meant to; one after the other they have it to themselves.
func InTurn(name, doc string, length, slice time.Duration, parts ...*Scenario) *Scenario {
	all := &Scenario{Name: name, Doc: doc, Length: length, Slice: slice, Parts: parts}
	for _, part := range parts {
		for _, lane := range part.Lanes {
			lane.part = part.Name
			lane.Name = part.Name + "/" + lane.Name
			all.Lanes = append(all.Lanes, lane)
		}
	}
	return all
}

// LanesOf lists those of a scenario's sequences that belong to one of its
// parts: all of them if it has none.
func LanesOf(all []*Sequence, s, part *Scenario) []*Sequence {
	if s == part {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(q *Sequence) bool { return q.lane.part != part.Name })
}
