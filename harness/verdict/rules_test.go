// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/history"
	"plugstorm/harness/rules"
	"plugstorm/harness/verdict"
)

func checkEvent(guest int, c history.RuleCheck) history.Event {
	return history.Event{Type: history.Rules, Guest: guest, Rules: &c}
}

// TestRules: rules that weren't checked are told, and leave the status alone.
func TestRules(t *testing.T) {
	if v := clean().judge(); v.Rules != nil || v.Status != verdict.Clean {
		t.Errorf("without rules: %+v", v.Rules)
	}
	results := []rules.Result{{Rule: "f: a(w)", Hits: 2}, {Rule: "g: a(w)"}}
	loaded := history.RuleCheck{}
	for name, tt := range map[string]struct {
		events  []history.RuleCheck
		checked int
		why     []string
	}{
		"all well": {[]history.RuleCheck{loaded, {Status: &rules.Status{DebugLocks: true, Rules: results}}}, 1, []string{}},
		"lockdep off": {
			[]history.RuleCheck{loaded, {Status: &rules.Status{Rules: results}}}, 1,
			[]string{"guest 1: lockdep was off at its end, its rules were checked until then only"},
		},
		"bounds": {
			[]history.RuleCheck{loaded, {Status: &rules.Status{DebugLocks: true, Unprinted: 3, Bad: 2, Funcs: []rules.Hits{{Missed: 5}}, Rules: results}}}, 1,
			[]string{
				"guest 1: 3 violations of rules were counted and not reported: the checker's bounds",
				"guest 1: 5 calls of watched functions came while another was looked at, and were not checked",
				"guest 1: 2 lines of its rule checker's answer could not be read",
			},
		},
		"not loaded": {[]history.RuleCheck{{Why: "no modules"}}, 0, []string{"guest 1: rules not checked: no modules"}},
		"lost":       {[]history.RuleCheck{loaded}, 0, []string{"guest 1: what its rule checker counted is lost with it"}},
		"no answer":  {[]history.RuleCheck{loaded, {Why: "timeout"}}, 0, []string{"guest 1: rules not checked: timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := clean()
			for i, c := range tt.events {
				r.at(11+float64(i), checkEvent(1, c))
			}
			v := r.judge()
			if v.Status != verdict.Clean || v.Rules.Checked != tt.checked {
				t.Errorf("%s, %+v", v.Status, v.Rules)
			}
			if diff := cmp.Diff(tt.why, v.Rules.Why); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestBrokenRule: a violation is what the console says of it.
func TestBrokenRule(t *testing.T) {
	r := clean().say(1, 20, "[    8.000000][    C1] LOCKRULE: online_pages: mem_hotplug_lock required WRITE, not held\n[    8.000001][    C1] Call Trace:\n"+
		"[    8.000002][    C1]  <TASK>\n[    8.000003][    C1]  online_pages+0x1/0x20\n[    8.000004][    C1]  memory_subsys_online+0x1/0x20\n[    8.000005][    C1]  </TASK>\n")
	v := r.judge()
	f := only(t, v)
	if v.Status != verdict.Found || f.Type != "LOCKRULE" || f.Identity != "lockrule: online_pages: mem_hotplug_lock required WRITE, not held" || f.Stack[0] != "online_pages" {
		t.Errorf("%s, %+v", v.Status, f)
	}
}
