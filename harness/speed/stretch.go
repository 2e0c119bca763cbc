// SPDX-License-Identifier: Apache-2.0

package speed

import (
	"bytes"
	"slices"
	"time"

	"plugstorm/harness/history"
)

// Stretch makes a long record of a short one of one guest: what lies between the
// guest's agent coming up and its end is repeated, events and console alike, with
// times and places shifted, until the run has at least the wanted length. Steps
// get new numbers. It is no run that has been: it is what the judge of a long one
// has to read. nil if the record has nothing to repeat.
func Stretch(events []history.Event, console []byte, length time.Duration) ([]history.Event, []byte) {
	up := slices.IndexFunc(events, func(e history.Event) bool { return e.Type == history.AgentUp })
	end := slices.IndexFunc(events, func(e history.Event) bool { return e.Type == history.GuestEnd })
	if up < 0 || end <= up+1 || events[end].At <= events[up].At {
		return nil, nil
	}
	body := events[up+1 : end]
	period, steps := events[end].At-events[up].At, maxSeq(body)
	from := firstOffset(body, int64(len(console)))
	from += int64(bytes.IndexByte(console[from:], '\n') + 1) // the body's part of the console begins with a line
	said := console[from:]
	out := slices.Clone(events[:up+1])
	log := slices.Clone(console[:from])
	n := 0
	for ; n == 0 || time.Duration(n)*period < length; n++ {
		for _, e := range body {
			e.At += time.Duration(n) * period
			if e.Seq != 0 {
				e.Seq += n * steps
			}
			if e.Type == history.Console {
				e.Offset += int64(n * len(said))
			}
			out = append(out, e)
		}
		log = append(log, said...)
	}
	for _, e := range events[end:] {
		if e.Guest > events[end].Guest {
			continue // of guests that came later
		}
		e.At += time.Duration(n-1) * period
		out = append(out, e)
	}
	return out, log
}

func maxSeq(events []history.Event) int {
	most := 0
	for _, e := range events {
		most = max(most, e.Seq)
	}
	return most
}

// firstOffset is where the console was when the first of some events came.
func firstOffset(events []history.Event, none int64) int64 {
	for _, e := range events {
		if e.Type == history.Console {
			return min(e.Offset, none)
		}
	}
	return none
}
