// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"plugstorm/harness/op"
	"plugstorm/harness/overlap"
	"plugstorm/harness/rules"
)

// A Part is what one of several slots showed: guests that ran at the same time,
// each with a record of its own.
type Part struct {
	Slot    int       // from 1
	Started time.Time // of its record
	Verdict *Verdict  // as Judge made it, or Lost
}

// Lost is what is known of a slot that left no record: nothing.
func Lost(why string) *Verdict { return &Verdict{Status: Unknown, Why: []string{why}} }

// Join makes one verdict of all slots of a machine. Sightings with one identity
// are one finding, whatever the slot. Numbers of guests, and times since the
// start, are those of the slot.
func Join(parts []Part) *Verdict {
	all := &Verdict{
		Findings: joinFindings(parts), Ops: joinOps(parts), Guests: []Guest{},
		PerMinute: joinPace(parts), Workloads: map[string]uint64{}, Refused: map[string]uint64{}, Rules: joinRules(parts), Calls: joinCalls(parts), Waits: joinWaits(parts),
	}
	var statuses []Status
	var overlaps []*overlap.Table
	for _, p := range parts {
		overlaps = append(overlaps, p.Verdict.Overlap)
		statuses = append(statuses, p.Verdict.Status)
		for _, why := range p.Verdict.Why {
			all.Why = append(all.Why, inSlot(p.Slot, why))
		}
		for _, f := range p.Verdict.Faults {
			f.Slot = p.Slot
			all.Faults = append(all.Faults, f)
		}
		for _, g := range p.Verdict.Guests {
			g.Slot = p.Slot
			all.Guests = append(all.Guests, g)
		}
		for name, rounds := range p.Verdict.Workloads {
			all.Workloads[name] += rounds
		}
		for name, rounds := range p.Verdict.Refused {
			all.Refused[name] += rounds
		}
	}
	together := joinCycles(parts)
	all.Findings = append(all.Findings, together...)
	slices.SortStableFunc(all.Findings, func(a, b Finding) int { return cmp.Compare(a.Known, b.Known) })
	if slices.ContainsFunc(together, unexplained) {
		statuses = append(statuses, Found)
	}
	all.Reach, all.Trend = joinReach(parts), joinTrends(parts)
	all.Status, all.Overlap = Merge(statuses...), overlap.Join(overlaps...)
	return all
}

func inSlot(slot int, text string) string { return fmt.Sprintf("slot %d: %s", slot, text) }

// joinFindings files findings under their identities, each with its first
// sighting.
func joinFindings(parts []Part) []Finding {
	type sighting struct {
		Finding
		when time.Time
	}
	var all []sighting
	for _, p := range parts {
		for _, f := range p.Verdict.Findings {
			f.Slot = p.Slot
			all = append(all, sighting{f, p.Started.Add(p.Verdict.start(f.Guest) + f.At)})
		}
	}
	slices.SortStableFunc(all, func(a, b sighting) int {
		return cmp.Or(cmp.Compare(a.Known, b.Known), a.when.Compare(b.when))
	})
	joined, found := []Finding{}, map[sightingKey]int{}
	for _, s := range all {
		key := sightingKey{s.Identity, s.Known}
		i, ok := found[key]
		if !ok {
			found[key] = len(joined)
			s.Slots = []int{s.Slot}
			joined = append(joined, s.Finding)
			continue
		}
		first := &joined[i]
		first.Sightings += s.Sightings
		if !slices.Contains(first.Slots, s.Slot) {
			first.Slots = append(first.Slots, s.Slot)
			slices.Sort(first.Slots)
		}
	}
	return joined
}

// start is when a guest was started.
func (v *Verdict) start(guest int) time.Duration {
	for _, g := range v.Guests {
		if g.Number == guest {
			return g.Start
		}
	}
	return 0
}

func joinOps(parts []Part) map[string]*Counts {
	all := map[string]*Counts{}
	for _, p := range parts {
		for kind, counts := range p.Verdict.Ops {
			sum := all[kind]
			if sum == nil {
				sum = &Counts{Outcomes: map[op.Outcome]int{}}
				all[kind] = sum
			}
			for outcome, n := range counts.Outcomes {
				sum.Outcomes[outcome] += n
			}
			sum.latencies = append(sum.latencies, counts.latencies...)
		}
	}
	for _, sum := range all {
		sum.Median, sum.Max = medianMax(sum.latencies)
	}
	return all
}

// joinPace adds up the steps of each minute. The first one begins when the
// first guest of all slots was up; a slot's minutes are put to those in which
// they began.
func joinPace(parts []Part) []int {
	var first time.Time
	for _, p := range parts {
		if up, ok := p.firstUp(); ok && (first.IsZero() || up.Before(first)) {
			first = up
		}
	}
	var all []int
	for _, p := range parts {
		up, ok := p.firstUp()
		if !ok {
			continue
		}
		shift := int(up.Sub(first) / time.Minute)
		for i, n := range p.Verdict.PerMinute {
			minute := shift + i
			if minute >= maxMinutes {
				break
			}
			for len(all) <= minute {
				all = append(all, 0)
			}
			all[minute] += n
		}
	}
	return all
}

// firstUp is when the slot's first guest came up, if one did.
func (p Part) firstUp() (time.Time, bool) {
	for _, g := range p.Verdict.Guests {
		if g.Boot > 0 {
			return p.Started.Add(g.Start + g.Boot), true
		}
	}
	return time.Time{}, false
}

func joinRules(parts []Part) *rules.Tally {
	var answers []*rules.Status
	var why []string
	guests, asked := 0, false
	for _, p := range parts {
		t := p.Verdict.Rules
		if t == nil {
			continue
		}
		asked = true
		guests += t.Guests
		answers = append(answers, &rules.Status{Rules: t.Results})
		for _, text := range t.Why {
			why = append(why, inSlot(p.Slot, text))
		}
	}
	if !asked {
		return nil
	}
	all := rules.NewTally(answers, why)
	all.Guests = guests
	return all
}
