// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/focus"
	"plugstorm/harness/rules"
	"plugstorm/harness/verdict"
)

func reachOf(functions ...verdict.Reached) *verdict.Reach {
	return &verdict.Reach{Functions: functions, Told: 3}
}

// TestReachWarning: a run that isn't known to have run its patch says so.
func TestReachWarning(t *testing.T) {
	run, never, unknown := verdict.Reached{Called: rules.Called{Calls: 1}}, verdict.Reached{}, verdict.Reached{Called: rules.Called{Why: "inlined"}}
	elsewhere := reachOf()
	elsewhere.Elsewhere = []string{"mm/slab.h"}
	for name, tt := range map[string]struct {
		reach *verdict.Reach
		want  string
	}{
		"no patch": {nil, ""}, "all": {reachOf(run), ""}, "some": {reachOf(never, run, unknown), ""},
		"none": {reachOf(never, never), neverReached}, "none seen": {reachOf(never, unknown), maybeReached},
		"all inlined": {reachOf(unknown), maybeReached}, "no function": {elsewhere, maybeReached},
	} {
		if got := reachWarning(tt.reach); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestReachText(t *testing.T) {
	place := func(name string) focus.Place { return focus.Place{File: "mm/a.c", Func: name} }
	r := reachOf(verdict.Reached{Place: place("f"), Called: rules.Called{Calls: 12}}, verdict.Reached{Place: place("hot"), Called: rules.Called{Calls: 10000, More: true}},
		verdict.Reached{Place: place("g")}, verdict.Reached{Place: place("h"), Called: rules.Called{Why: "inlined"}})
	r.Silent, r.Elsewhere = 1, []string{"mm/a.h"}
	var b strings.Builder
	(&text{w: &b}).reach(r)
	const want = `reach   2 of 4 functions that the patches change were run; 1 of 4 guests didn't tell
        run: mm/a.c:f 12×, mm/a.c:hot more than 10000×
        never: mm/a.c:g
        unknown: mm/a.c:h (inlined), mm/a.h (outside of any function)
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}
