// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/focus"
	"plugstorm/harness/history"
	"plugstorm/harness/rules"
	"plugstorm/harness/verdict"
)

// TestReach: what the guests' checkers counted of changed functions is added up;
// that nobody knows is something else than never.
func TestReach(t *testing.T) {
	f, g := focus.Place{File: "mm/a.c", Func: "f"}, focus.Place{File: "mm/a.c", Func: "g"}
	status := func(hits ...rules.Hits) *history.RuleCheck {
		return &history.RuleCheck{Status: &rules.Status{Funcs: hits}}
	}
	for name, tt := range map[string]struct {
		changed []focus.Place
		checks  []*history.RuleCheck // by guest; nil: it says nothing
		want    *verdict.Reach
	}{
		"nothing changed": {nil, []*history.RuleCheck{status()}, nil},
		"called and not": {
			[]focus.Place{f, g, {File: "mm/b.h"}},
			[]*history.RuleCheck{status(rules.Hits{Func: "f", Hits: 1, Missed: 1}, rules.Hits{Func: "g"}), nil, status(rules.Hits{Func: "f", Hits: 10000, Spent: true}, rules.Hits{Func: "g"})},
			&verdict.Reach{Functions: []verdict.Reached{{Place: f, Called: rules.Called{Calls: 10002, More: true}}, {Place: g}}, Elsewhere: []string{"mm/b.h"}, Told: 2, Silent: 1},
		},
		"nobody told": {
			[]focus.Place{f}, []*history.RuleCheck{nil, {Why: "no modules"}},
			&verdict.Reach{Functions: []verdict.Reached{{Place: f, Called: rules.Called{Why: "no guest said what it called"}}}, Silent: 2},
		},
		"can't be seen": {
			[]focus.Place{f, g}, []*history.RuleCheck{status(rules.Hits{Func: "f", Unavailable: "2"}, rules.Hits{Func: "g", Unavailable: "22"})},
			&verdict.Reach{Functions: []verdict.Reached{
				{Place: f, Called: rules.Called{Why: "not in this kernel, or inlined wherever it is called"}}, {Place: g, Called: rules.Called{Why: "the kernel takes no probe there (error 22)"}},
			}, Told: 1},
		},
		"no room in one guest": {
			[]focus.Place{f, g}, []*history.RuleCheck{status(), status(rules.Hits{Func: "f", Hits: 1}), status()},
			&verdict.Reach{Functions: []verdict.Reached{{Place: f, Called: rules.Called{Calls: 1}}, {Place: g, Called: rules.Called{Why: "the checker had no room for it"}}}, Told: 3},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := clean()
			r.events[0].Case.Changed = tt.changed
			for i, check := range tt.checks {
				if check != nil {
					r.at(11+float64(i), checkEvent(i+1, *check))
				} else {
					r.at(11+float64(i), history.Event{Type: history.Snapshot, Guest: i + 1})
				}
			}
			v := r.judge()
			if diff := cmp.Diff(tt.want, v.Reach); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestJoinReach: one part that knows is enough.
func TestJoinReach(t *testing.T) {
	f := focus.Place{Func: "f"}
	part := func(r *verdict.Reach) verdict.Part {
		v := clean().judge()
		v.Reach = r
		return verdict.Part{Slot: 1, Verdict: v}
	}
	unknown := &verdict.Reach{Functions: []verdict.Reached{{Place: f, Called: rules.Called{Why: "no"}}}, Silent: 1}
	never := &verdict.Reach{Functions: []verdict.Reached{{Place: f}}, Told: 2}
	run := &verdict.Reach{Functions: []verdict.Reached{{Place: f, Called: rules.Called{Calls: 3}}}, Told: 1}
	got := verdict.Join([]verdict.Part{part(unknown), part(nil), part(never), part(run)}).Reach
	want := &verdict.Reach{Functions: []verdict.Reached{{Place: f, Called: rules.Called{Calls: 3}}}, Told: 3, Silent: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if unknown.Functions[0].Why == "" {
		t.Error("a part's own has changed")
	}
	if got.Run() != 1 || got.Unknown() != 0 || unknown.Unknown() != 1 || never.Run() != 0 {
		t.Error("wrong counts")
	}
}
