// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/rules"
	"plugstorm/harness/run"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm/vmtest"
)

// What the fake module says.
const (
	status    = rules.Header + "\ndebug_locks 1\nreports printed=0 unprinted=0 nested=0\nrule 0 online_pages state=ok hits=3 violations=0 : a(w)\n"
	contracts = rules.Header + "\nfunc online_pages checked=3 lost=0\nlock w=3 r=0 a\n"
)

// checking is a guest with the rule checker; what is written to it goes to written.
func checking(written *[]agent.FileParams) vmtest.Character {
	var mu sync.Mutex // requests are served side by side
	return vmtest.Character{
		Modules: []string{rules.Module},
		Methods: map[string]vmtest.Handler{
			agent.MethodLoadModule: func(*vmtest.Guest, json.RawMessage) (any, error) { return nil, nil },
			agent.MethodWriteFile: func(_ *vmtest.Guest, raw json.RawMessage) (any, error) {
				var p agent.FileParams
				err := json.Unmarshal(raw, &p)
				mu.Lock()
				defer mu.Unlock()
				*written = append(*written, p)
				return nil, err
			},
			agent.MethodReadFile: func(_ *vmtest.Guest, raw json.RawMessage) (any, error) {
				var p agent.FileParams
				err := json.Unmarshal(raw, &p)
				return agent.FileReply{Data: map[string]string{rules.StatusFile: status, rules.ContractsFile: contracts}[p.Path]}, err
			},
		},
	}
}

func someRules() *history.RuleText {
	return &history.RuleText{Name: "default", Text: "# mm/memory_hotplug.c\nonline_pages: a(w)\nf arch=other: b(w)\n"}
}

// TestRules: the guest is given its rules before anything else is done to it,
// and what it saw is kept.
func TestRules(t *testing.T) {
	var written []agent.FileParams
	scenario := calm()
	scenario.Widen = []schedule.Widening{{Func: "kernfs_drain", Max: time.Millisecond}}
	r := play{
		scenario: scenario, seed: 1, rules: someRules(),
		character: func(int) vmtest.Character { return checking(&written) },
	}.perform(t)
	if r.err != nil {
		t.Fatal(r.err)
	}
	events := r.steps(history.Rules, 1)
	if len(events) != 2 || events[0].Rules.Why != "" || events[1].Rules.Status == nil || events[1].Rules.Status.Rules[0].Hits != 3 {
		t.Fatalf("%+v", events)
	}
	if first := r.steps(history.StepBegin, 1)[0]; first.At < events[0].At {
		t.Error("a step began before the rules were loaded")
	}
	want := "online_pages: a(w)\n"
	for _, w := range scenario.Widenings(1, 1) {
		want += "widen " + strings.Replace(w.String(), "=", " ", 1) + "\n"
	}
	given := slices.DeleteFunc(written, func(f agent.FileParams) bool { return f.Path != rules.RulesFile }) // others are written beside it
	if len(given) == 0 || given[len(given)-1].Data != want {
		t.Errorf("the guest was given %+v, want %q", given, want)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "guest-1", run.LocksFile))
	if err != nil || string(text) != rules.Join(status, contracts) {
		t.Errorf("%v, %q", err, text)
	}
}

// TestNoRules: whoever goes without the checker says why, if it wasn't meant so.
func TestNoRules(t *testing.T) {
	without := calm()
	without.NoRules = true
	broken := checking(new([]agent.FileParams))
	broken.Methods[agent.MethodLoadModule] = func(*vmtest.Guest, json.RawMessage) (any, error) {
		return nil, errors.New("no such thing")
	}
	deaf := checking(new([]agent.FileParams))
	deaf.Methods[agent.MethodReadFile] = func(*vmtest.Guest, json.RawMessage) (any, error) { return nil, vmtest.ErrNoAnswer }
	for name, tt := range map[string]struct {
		scenario  *schedule.Scenario
		rules     *history.RuleText
		character vmtest.Character
		why       []string
	}{
		"not asked for":     {nil, nil, checking(new([]agent.FileParams)), nil},
		"not for the suite": {without, someRules(), checking(new([]agent.FileParams)), nil},
		"no modules":        {nil, someRules(), vmtest.Character{}, []string{"goes without our modules"}},
		"can't be loaded":   {nil, someRules(), broken, []string{"no such thing"}},
		"doesn't answer":    {nil, someRules(), deaf, []string{"", "deadline exceeded"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := play{scenario: tt.scenario, rules: tt.rules, character: func(int) vmtest.Character { return tt.character }}.perform(t)
			if r.err != nil {
				t.Fatal(r.err)
			}
			events := r.steps(history.Rules, 1)
			if len(events) != len(tt.why) {
				t.Fatalf("%+v", events)
			}
			for i, e := range events {
				if !strings.Contains(e.Rules.Why, tt.why[i]) || tt.why[i] == "" && e.Rules.Why != "" {
					t.Errorf("%q, want %q", e.Rules.Why, tt.why[i])
				}
			}
			if faults := r.steps(history.Fault, 0); len(faults) > 0 {
				t.Errorf("it is no fault: %+v", faults)
			}
		})
	}
}

// TestBadRules: rules that can't be read are the user's, before a guest is started.
func TestBadRules(t *testing.T) {
	r := play{rules: &history.RuleText{Name: "mine", Text: "nonsense"}, dir: filepath.Join(t.TempDir(), "run")}.perform(t)
	if blame.Of(r.err) != blame.User || len(r.specs) > 0 {
		t.Errorf("%v, %d guests", r.err, len(r.specs))
	}
}
