// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"slices"

	"plugstorm/harness/history"
	"plugstorm/harness/splat"
	"plugstorm/harness/waitgraph"
)

// A waitTrace is what a guest said of who waits for whom.
type waitTrace struct {
	seen map[string]bool // identities of predicted deadlocks
	why  string          // why it wasn't looked at, or not in full
}

// waits judges what a guest's waits add up to. Its records repeat each other:
// each cycle counts once, when the first one showed it.
func (j *judge) waits(e history.Event) {
	g := j.guest(e.Guest)
	record, err := waitgraph.Read([]byte(e.Text))
	var cycles []waitgraph.Cycle
	var notes *waitgraph.Notes
	if err == nil {
		cycles, notes, err = record.Judge()
	}
	if err != nil {
		j.fault(e.At, fmt.Sprintf("guest %d: what it says of its waits can't be read: %v", e.Guest, err), "look at its waits event in "+history.File)
		return
	}
	if g.waits.why = doubtWaits(record, notes); g.waits.seen == nil {
		g.waits.seen = map[string]bool{}
	}
	for _, c := range cycles {
		f := splat.WaitCycle(c)
		if !g.waits.seen[f.Identity] {
			g.waits.seen[f.Identity] = true
			j.sight(e, f)
		}
	}
}

// doubtWaits says what is incomplete about a guest's notes; "" if nothing is.
func doubtWaits(r waitgraph.Record, n *waitgraph.Notes) string {
	switch {
	case r.Why != "":
		return "not looked at: " + r.Why
	case n.Lost > 0:
		return fmt.Sprintf("%d sightings found no room", n.Lost)
	case n.Bad > 0:
		return fmt.Sprintf("%d lines of the answer could not be read", n.Bad)
	case len(n.Unavailable) > 0:
		return fmt.Sprintf("not watched: %s", slices.Sorted(slices.Values(n.Unavailable)))
	case r.Order == "":
		return "lockdep's order was not read"
	case !n.DebugLocks:
		return "lockdep was off at the end: looked at until then"
	}
	return ""
}
