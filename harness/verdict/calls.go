// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"plugstorm/harness/calls"
	"plugstorm/harness/history"
)

// failedCalls notes what came of the calls that were to fail in a step.
func (j *judge) failedCalls(e history.Event) {
	for _, r := range e.Calls {
		j.calls = append(j.calls, r.Result())
	}
}

// joinCalls adds up what several parts of a run had fail.
func joinCalls(parts []Part) *calls.Tally {
	var all []calls.Result
	var rest []string // tried nowhere, or elsewhere only
	for _, p := range parts {
		if t := p.Verdict.Calls; t != nil {
			all = append(all, t.Results...)
			rest = append(rest, t.NotTried...)
		}
	}
	return calls.NewTally(all, rest)
}
