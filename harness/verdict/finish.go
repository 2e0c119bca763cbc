// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"plugstorm/harness/calls"
	"plugstorm/harness/history"
	"plugstorm/harness/known"
	"plugstorm/harness/op"
	"plugstorm/harness/splat"
)

func (j *judge) match(f splat.Finding) (*known.Issue, bool) {
	if j.known == nil {
		return nil, false
	}
	c := j.record.Case
	return j.known.Match(f, c.Machine, c.Kernel.Release)
}

// maxMinutes bounds PerMinute: a year. No run takes longer, but a damaged
// record can say anything.
const maxMinutes = 366 * 24 * 60

// count enters a finished step in the statistics.
func (j *judge) count(e history.Event, step *stepTrace) {
	c := j.verdict.Ops[step.kind]
	if c == nil {
		c = &Counts{Outcomes: map[op.Outcome]int{}}
		j.verdict.Ops[step.kind] = c
	}
	if e.Outcome == "" {
		return // cut off by the end of the guest
	}
	if !slices.Contains(op.Outcomes, e.Outcome) {
		j.fault(e.At, fmt.Sprintf("guest %d: step %d has the unknown outcome %q", e.Guest, e.Seq, e.Outcome), "was the record damaged?")
		return
	}
	c.Outcomes[e.Outcome]++
	if e.Outcome == op.Done {
		c.latencies = append(c.latencies, step.end-step.begin)
		if !step.setup {
			j.done++
		}
	}
	j.trends.ends = append(j.trends.ends, e.At)
	minute := int((e.At - j.firstUp) / time.Minute)
	if minute < 0 || minute >= maxMinutes {
		return
	}
	for len(j.verdict.PerMinute) <= minute {
		j.verdict.PerMinute = append(j.verdict.PerMinute, 0)
	}
	j.verdict.PerMinute[minute]++
}

// finish decides the status. It is worked out last and from everything.
func (j *judge) finish() {
	v := j.verdict
	for _, c := range v.Ops {
		c.Median, c.Max = medianMax(c.latencies)
	}
	for _, number := range slices.Sorted(maps.Keys(j.guests)) {
		v.Guests = append(v.Guests, j.guests[number].Guest)
	}
	slices.SortStableFunc(v.Findings, inOrder)
	v.Rules, v.Waits = j.tally(), j.waitsTally()
	v.Calls = calls.NewTally(j.calls, append(calls.Funcs(j.record.Case.Machine), j.record.Case.OwnCalls...))
	v.Reach = j.reach()
	v.Overlap, v.Trend = j.overlaps.Table(), j.trends.trend(j.firstUp)
	v.Why = j.doubts()
	found := slices.ContainsFunc(v.Findings, unexplained)
	if why := j.shortfall(); why != "" && !found {
		v.Why = append(v.Why, why)
	}
	switch {
	case found:
		v.Status = Found
	case len(v.Why) > 0:
		v.Status = Unknown
	default:
		v.Status = Clean
	}
}

// unexplained reports whether no known issue explains a finding.
func unexplained(f Finding) bool { return f.Known == "" }

// inOrder puts what nothing explains first, and then what came first.
func inOrder(a, b Finding) int {
	return cmp.Or(strings.Compare(a.Known, b.Known), cmp.Compare(a.Guest, b.Guest), cmp.Compare(a.At, b.At))
}

// doubts lists what stands between this run and a clean verdict.
func (j *judge) doubts() []string {
	var why []string
	for _, f := range j.verdict.Faults {
		why = append(why, fmt.Sprintf("%s: %s", f.Party, f.Text))
	}
	if !j.ended {
		why = append(why, "the record stops before the run's end")
	}
	if j.record.Cut {
		why = append(why, "the last line of the history is cut off")
	}
	if j.done == 0 {
		why = append(why, "no op was done")
	}
	for _, g := range j.guests {
		log, ok := j.consoles[g.Number]
		switch n := len(g.marks); {
		case !ok:
			why = append(why, fmt.Sprintf("the console of guest %d is missing", g.Number))
		case n > 0 && g.marks[n-1].offset >= int64(len(log)):
			why = append(why, fmt.Sprintf("the console of guest %d is cut off", g.Number))
		case len(log) == 0 && g.up != 0:
			why = append(why, fmt.Sprintf("guest %d has said nothing on its console", g.Number))
		}
		if j.ended && g.started && !g.ended {
			why = append(why, fmt.Sprintf("the record has no end of guest %d", g.Number))
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

// shortSlack is what a run may end early besides the boot for which there was no
// time any more.
const shortSlack = 5 * time.Second

// shortfall says that a run ended long before its time, as one does with a finding
// that is to be its last: a known issue that explains that doesn't make the rest of
// the time clean. A replay is as long as its steps, and a slot may end because
// another one has found something.
func (j *judge) shortfall() string {
	c := j.record.Case
	if !j.ended || j.firstUp == 0 || c.ReplayOf != "" || c.Slots > 1 {
		return ""
	}
	boot := time.Duration(0)
	for _, g := range j.guests {
		boot = max(boot, g.Boot)
	}
	stormed := j.runEnd - j.firstUp
	if c.Duration-stormed <= boot+shortSlack {
		return ""
	}
	return fmt.Sprintf("the run ended after %s of its %s", stormed.Round(time.Second), c.Duration)
}

func medianMax(d []time.Duration) (median, most time.Duration) {
	if len(d) == 0 {
		return 0, 0
	}
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2], d[len(d)-1]
}
