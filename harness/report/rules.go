// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"

	"plugstorm/harness/rules"
	"plugstorm/harness/verdict"
)

// rules writes what came of the rules about locks: a line, and what keeps it
// from being the whole truth. `plugstorm locks` has the rest.
func (t *text) rules(v *verdict.Verdict) {
	tally := v.Rules
	if tally == nil {
		return
	}
	for _, g := range v.Guests {
		var delays []string
		for _, w := range g.Widen {
			delays = append(delays, w.String())
		}
		if len(delays) > 0 {
			t.list(fmt.Sprintf("delays  guest %d, in µs: ", g.Number), delays)
		}
	}
	line := fmt.Sprintf("%d checked, %d of them broken", tally.Checked, tally.Broken)
	count := map[string]int{}
	for _, n := range tally.NotChecked {
		count[n.Why]++
	}
	for _, why := range []string{rules.WhyNeverHit, rules.WhyUnavailable} {
		if count[why] > 0 {
			line += fmt.Sprintf("; not checked: %d (%s)", count[why], why)
		}
	}
	t.prose("rules   ", line)
	for _, why := range tally.Why {
		t.prose("        ", why)
	}
}

type rulesJSON struct {
	Checked    int              `json:"checked"`
	Broken     int              `json:"broken"`
	NotChecked []notCheckedJSON `json:"not_checked"`
	Why        []string         `json:"why"`
}

type notCheckedJSON struct {
	Rule string `json:"rule"`
	Why  string `json:"why"`
}

func newRulesJSON(tally *rules.Tally) *rulesJSON {
	if tally == nil {
		return nil
	}
	out := &rulesJSON{Checked: tally.Checked, Broken: tally.Broken, NotChecked: []notCheckedJSON{}, Why: list(tally.Why)}
	for _, n := range tally.NotChecked {
		out.NotChecked = append(out.NotChecked, notCheckedJSON{n.Rule, n.Why})
	}
	return out
}
