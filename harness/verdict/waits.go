// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"plugstorm/harness/history"
	"plugstorm/harness/splat"
	"plugstorm/harness/waitgraph"
)

// Waits says how far predicted deadlocks were looked for. What is missing doesn't
// touch the status, which is about what was seen.
type Waits struct {
	Guests int      `json:"guests"` // that told who waits for whom
	Why    []string `json:"why"`    // why a guest wasn't looked at, or not in full
}

// A waitTrace is what a guest said of who waits for whom.
type waitTrace struct {
	seen map[string]bool // identities of predicted deadlocks; nil: nobody asked
	told bool
	why  string // why it wasn't looked at, or not in full
}

// waits judges what a guest's waits add up to. Its records repeat each other:
// each cycle counts once, when the first one showed it.
func (j *judge) waits(e history.Event) {
	w := &j.guest(e.Guest).waits
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
	if w.seen == nil {
		w.seen = map[string]bool{}
	}
	w.told = w.told || notes != nil
	w.why = doubtWaits(record, notes)
	for _, c := range cycles {
		f := splat.WaitCycle(c)
		if !w.seen[f.Identity] {
			w.seen[f.Identity] = true
			j.sight(e, f)
		}
	}
}

// doubtWaits says what is incomplete about a guest's notes; "" if nothing is.
func doubtWaits(r waitgraph.Record, n *waitgraph.Notes) string {
	switch {
	case r.Why != "":
		return "not looked at: " + r.Why
	case n == nil:
		return "what it noted is lost with it"
	case n.Lost > 0:
		return fmt.Sprintf("%d sightings found no room", n.Lost)
	case n.Bad > 0:
		return fmt.Sprintf("%d lines of the answer could not be read", n.Bad)
	case len(n.Unavailable) > 0:
		return "not watched: " + strings.Join(n.Unavailable, ", ")
	case r.Order == "":
		return "lockdep's order could not be read: only locks that are waited for directly were looked at"
	case !n.DebugLocks:
		return "lockdep was off at its end, it was looked at until then only"
	}
	return ""
}

// waitsTally adds up how far the guests were looked at.
func (j *judge) waitsTally() *Waits {
	all := Waits{Why: []string{}}
	asked := false
	for _, number := range slices.Sorted(maps.Keys(j.guests)) {
		w := j.guests[number].waits
		if w.seen == nil {
			continue
		}
		asked = true
		if w.told {
			all.Guests++
		}
		if w.why != "" {
			all.Why = append(all.Why, fmt.Sprintf("guest %d: %s", number, w.why))
		}
	}
	if !asked {
		return nil
	}
	return &all
}

func joinWaits(parts []Part) *Waits {
	var all *Waits
	for _, p := range parts {
		w := p.Verdict.Waits
		if w == nil {
			continue
		}
		if all == nil {
			all = &Waits{Why: []string{}}
		}
		all.Guests += w.Guests
		for _, why := range w.Why {
			all.Why = append(all.Why, inSlot(p.Slot, why))
		}
	}
	return all
}
