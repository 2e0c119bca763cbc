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

	// For Join.
	together *waitgraph.Union
	file     func(splat.Finding) Finding // names the known issue that a finding matches
}

// A waitTrace is what a guest said of who waits for whom.
type waitTrace struct {
	seen map[string]bool // identities of predicted deadlocks; nil: nobody asked
	told bool
	why  string // why it wasn't looked at, or not in full
}

// waits judges what a guest's waits add up to, by themselves and with those of the
// guests before. Its records repeat each other: each cycle counts once, when the
// first one showed it.
func (j *judge) waits(e history.Event) {
	w := &j.guest(e.Guest).waits
	record, err := waitgraph.Read([]byte(e.Text))
	var notes *waitgraph.Notes
	var order *waitgraph.Order
	if err == nil {
		notes, order, err = record.Parse()
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
	if notes == nil {
		return
	}
	for _, c := range waitgraph.Find(notes, order) {
		f := splat.WaitCycle(c)
		if !w.seen[f.Identity] {
			w.seen[f.Identity], j.predicted[f.Identity] = true, true
			j.sight(e, f)
		}
	}
	j.together.Add(fmt.Sprintf("guest %d", e.Guest), notes, order)
	for _, c := range j.together.Cycles() {
		if f := splat.WaitCycle(c); !j.predicted[f.Identity] {
			j.predicted[f.Identity] = true
			j.sightTogether(e, f)
		}
	}
}

// sightTogether files what no guest has seen all of. What one says that went on
// from a damaged snapshot may be part of it: then none of that counts.
func (j *judge) sightTogether(e history.Event, f splat.Finding) {
	j.sightings = append(j.sightings, func() {
		if !j.damagedWaits() {
			j.add(e.Guest, e.At, f)
		}
	})
}

// damagedWaits reports whether a guest whose findings don't count has told of its
// waits.
func (j *judge) damagedWaits() bool {
	for _, g := range j.guests {
		if g.disowned && g.waits.told {
			return true
		}
	}
	return false
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
	all := Waits{Why: []string{}, together: j.together, file: j.filed}
	if j.damagedWaits() {
		all.together = waitgraph.NewUnion()
	}
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

// joinCycles lists the predicted deadlocks that no slot has seen all of. Each is
// filed with the last guest of the slot that brought what was missing.
func joinCycles(parts []Part) []Finding {
	predicted := map[string]bool{}
	for _, p := range parts {
		for _, f := range p.Verdict.Findings {
			predicted[f.Identity] = true
		}
	}
	var found []Finding
	together := waitgraph.NewUnion()
	for _, p := range parts {
		w := p.Verdict.Waits
		if w == nil || w.together == nil || len(p.Verdict.Guests) == 0 {
			continue
		}
		together.Join(w.together, fmt.Sprintf("slot %d ", p.Slot))
		last := p.Verdict.Guests[len(p.Verdict.Guests)-1]
		for _, c := range together.Cycles() {
			f := splat.WaitCycle(c)
			if predicted[f.Identity] {
				continue
			}
			predicted[f.Identity] = true
			filed := w.file(f)
			filed.Slot, filed.Slots, filed.Guest = p.Slot, []int{p.Slot}, last.Number
			filed.At, filed.AtAgent, filed.Steps, filed.Sightings = last.Life, last.Life-last.Boot, []string{}, 1
			found = append(found, filed)
		}
	}
	return found
}
