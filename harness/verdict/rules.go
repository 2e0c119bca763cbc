// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"maps"
	"slices"

	"plugstorm/harness/history"
	"plugstorm/harness/rules"
)

// A ruleTrace is what the history says of a guest's rule checker.
type ruleTrace struct {
	why    string
	status *rules.Status
}

func (j *judge) ruleCheck(e history.Event) {
	if e.Rules == nil {
		return
	}
	g := j.guest(e.Guest)
	if g.rules == nil {
		g.rules = &ruleTrace{}
		g.Widen = e.Rules.Widen
	}
	if e.Rules.Why != "" {
		g.rules.why = e.Rules.Why
	}
	if e.Rules.Status != nil {
		g.rules.status = e.Rules.Status
	}
}

// tally adds up what the guests' rule checkers saw. A rule that was never
// checked is neither kept nor broken: it is said, and doesn't touch the status,
// which is about what the kernel complained of. A violation is such a complaint
// and comes from the console, as all others.
func (j *judge) tally() *rules.Tally {
	var answers []*rules.Status
	var why []string
	asked := false
	for _, number := range slices.Sorted(maps.Keys(j.guests)) {
		t := j.guests[number].rules
		switch {
		case t == nil:
			continue
		case t.why != "":
			why = append(why, fmt.Sprintf("guest %d: rules not checked: %s", number, t.why))
		case t.status == nil:
			why = append(why, fmt.Sprintf("guest %d: what its rule checker counted is lost with it", number))
		}
		asked = true
		if s := t.status; s != nil {
			answers = append(answers, s)
			why = append(why, doubtRules(number, s)...)
		}
	}
	if !asked {
		return nil
	}
	return rules.NewTally(answers, why)
}

// doubtRules says what is incomplete about a checker's answer.
func doubtRules(number int, s *rules.Status) []string {
	var why []string
	if !s.DebugLocks {
		why = append(why, fmt.Sprintf("guest %d: lockdep was off at its end, its rules were checked until then only", number))
	}
	if s.Unprinted > 0 {
		why = append(why, fmt.Sprintf("guest %d: %d violations of rules were counted and not reported: the checker's bounds", number, s.Unprinted))
	}
	missed := int64(0)
	for _, f := range s.Funcs {
		missed += f.Missed
	}
	if missed > 0 {
		why = append(why, fmt.Sprintf("guest %d: %d calls of watched functions came while another was looked at, and were not checked", number, missed))
	}
	if s.Bad > 0 {
		why = append(why, fmt.Sprintf("guest %d: %d lines of its rule checker's answer could not be read", number, s.Bad))
	}
	return why
}
