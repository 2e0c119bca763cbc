// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"slices"
	"time"

	"plugstorm/harness/focus"
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

// A Turn is one guest's share of a scenario that is made of parts.
type Turn struct {
	Part  *Scenario
	Slice time.Duration // its storm's length at most; 0 for the rest of the run
}

// Turn is what guest number n, from 1, of a run with a seed is stormed with: the
// scenario itself, unless it is made of parts. These come in turn, and the seed
// says which is the first. The first turns are short, for all to be there soon; a
// cycle later they are longer, up to longest slices, for what a kernel does twice a
// minute only to happen in them.
//
// With a focus (Toward) they come by how near they are to it, and the nearest once
// more after the third, for twice as long: nobody else may reach the place. The
// first two have a whole slice, the others half of one: what an aim is worth isn't
// known before the bug is, so every part must have had its turn in about the time
// that a cycle without one takes. Where nobody runs the function itself, the kernel may
// do so of its own accord, now and then: the nearest is there for three slices then,
// and the second gives half of its own for that.
func (s *Scenario) Turn(seed int64, n int) Turn {
	if len(s.Parts) == 0 {
		return Turn{Part: s}
	}
	order := make([]int, len(s.Parts)) // their numbers, as the seed turns them
	for i := range order {
		order[i] = int((uint64(seed) + uint64(i)) % uint64(len(order)))
	}
	order = s.byNearness(order)
	whole, long := 2, time.Duration(2) // of the nearest so many have a whole slice, and one so many
	if s.near != nil && s.near[order[0]][focus.Function] == 0 {
		whole, long = 1, 3
	}
	turns := make([]Turn, 0, len(order)+1)
	for rank, i := range order {
		turn := Turn{s.Parts[i], s.Slice}
		if s.near != nil && rank >= whole {
			turn.Slice /= 2
		}
		turns = append(turns, turn)
	}
	if s.near != nil && len(turns) > again {
		turns = slices.Insert(turns, again, Turn{turns[0].Part, long * s.Slice})
	}
	turn := turns[(n-1)%len(turns)]
	turn.Slice *= time.Duration(min(1+(n-1)/len(turns), longest))
	return turn
}

const (
	again   = 3 // how many parts have had their turn when the nearest comes again
	longest = 4 // how many times as long as the first turns the later ones get
)

// byNearness orders parts, by number, by how near they are to the focus, if there
// is one; ties keep their order.
func (s *Scenario) byNearness(parts []int) []int {
	if s.near != nil {
		slices.SortStableFunc(parts, func(a, b int) int { return s.near[b].compare(s.near[a]) })
	}
	return parts
}

// LanesOf lists those of a scenario's sequences that belong to one of its
// parts: all of them if it has none.
func LanesOf(all []*Sequence, s, part *Scenario) []*Sequence {
	if s == part {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(q *Sequence) bool { return q.lane.part != part.Name })
}
