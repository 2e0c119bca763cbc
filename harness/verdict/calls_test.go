// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"slices"
	"testing"

	"plugstorm/harness/calls"
)

// TestJoinCalls: what one part didn't try, another one may have.
func TestJoinCalls(t *testing.T) {
	part := func(results []calls.Result, rest ...string) Part {
		return Part{Verdict: &Verdict{Calls: calls.NewTally(results, rest)}}
	}
	got := joinCalls([]Part{
		part([]calls.Result{{Func: "a", Tried: 1}}, "b", "c"), part([]calls.Result{{Func: "b", Tried: 2, Fired: 1}, {Func: "a", Tried: 1}}, "c"), {Verdict: &Verdict{}},
	})
	if got.Fired != 1 || len(got.NotFired) != 1 || got.NotFired[0].Func != "a" || !slices.Equal(got.NotTried, []string{"c"}) || got.Results[0].Tried != 2 {
		t.Errorf("%+v", got)
	}
	if joinCalls([]Part{{Verdict: &Verdict{}}}) != nil {
		t.Error("nothing to join makes a tally")
	}
}
