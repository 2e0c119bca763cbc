// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"plugstorm/harness/history"
	"plugstorm/harness/known"
	"plugstorm/harness/op"
	"plugstorm/harness/splat"
)

func (j *judge) match(f splat.Finding) (*known.Issue, bool) {
	if j.in.Known == nil {
		return nil, false
	}
	c := j.in.History.Case
	return j.in.Known.Match(f, c.Machine, c.Kernel.Release)
}

// kindOf is the op's name in a step's description.
func kindOf(step string) string {
	_, rest, _ := strings.Cut(step, ": ")
	kind, _, _ := strings.Cut(rest, " ")
	return kind
}

// count enters a finished step in the statistics.
func (j *judge) count(e history.Event, step *stepTrace) {
	kind := kindOf(step.name)
	c := j.verdict.Ops[kind]
	if c == nil {
		c = &Counts{Outcomes: map[op.Outcome]int{}}
		j.verdict.Ops[kind] = c
	}
	if e.Outcome == "" {
		return // cut off by the end of the guest
	}
	c.Outcomes[e.Outcome]++
	if e.Outcome == op.Done {
		c.latencies = append(c.latencies, step.end-step.begin)
	}
	minute := int((e.At - j.firstUp) / time.Minute)
	for len(j.verdict.PerMinute) <= minute {
		j.verdict.PerMinute = append(j.verdict.PerMinute, 0)
	}
	j.verdict.PerMinute[minute]++
}

// finish decides the status. It is worked out last and from everything.
func (j *judge) finish() {
	v := j.verdict
	done := 0
	for _, c := range v.Ops {
		done += c.Outcomes[op.Done]
		c.Median, c.Max = medianMax(c.latencies)
	}
	for _, number := range slices.Sorted(maps.Keys(j.guests)) {
		v.Guests = append(v.Guests, j.guests[number].Guest)
	}
	slices.SortStableFunc(v.Findings, func(a, b Finding) int { return strings.Compare(a.Known, b.Known) })
	v.Why = j.doubts(done)
	switch {
	case slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Known == "" }):
		v.Status = Found
	case len(v.Why) > 0:
		v.Status = Unknown
	default:
		v.Status = Clean
	}
}

// doubts lists what stands between this run and a clean verdict.
func (j *judge) doubts(done int) []string {
	var why []string
	for _, f := range j.verdict.Faults {
		why = append(why, fmt.Sprintf("%s: %s", f.Party, f.Text))
	}
	if !j.ended {
		why = append(why, "the record stops before the run's end")
	}
	if j.in.History.Cut {
		why = append(why, "the last line of the history is cut off")
	}
	if done == 0 {
		why = append(why, "no op was done")
	}
	for _, g := range j.guests {
		if _, ok := j.in.Consoles[g.Number]; !ok {
			why = append(why, fmt.Sprintf("the console of guest %d is missing", g.Number))
		}
	}
	for kind, c := range j.verdict.Ops {
		if n := c.Outcomes[op.Broken]; n > 0 {
			why = append(why, fmt.Sprintf("%d × %s broke", n, kind))
		}
	}
	slices.Sort(why)
	return why
}

func medianMax(d []time.Duration) (median, most time.Duration) {
	if len(d) == 0 {
		return 0, 0
	}
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2], d[len(d)-1]
}
