// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/history"
	"plugstorm/harness/rules"
	"plugstorm/harness/schedule"
	"plugstorm/harness/splat"
	"plugstorm/harness/vm/vmtest"
	"plugstorm/harness/waitgraph"
)

// What the fake module says: a wait, and later what makes a cycle of it.
const (
	waits = waitgraph.Header + "\ndebug_locks 1\nlost takes=0 waits=0 works=0\n" +
		"wait stop thread:kcompactd# n=2 inst=(null) many=0 held=L:w:l name= stack=kthread_stop<kcompactd_stop<offline_pages\n"
	taken = "take thread:kcompactd# key=L mode=r n=3 inst=l many=0 at=kcompactd held=- lock=mem_hotplug_lock\n"
	order = waitgraph.Header + "\nclass 1 L mem_hotplug_lock\n"
)

// noting is a guest whose module sees a cycle from the given look on.
func noting(from int64) vmtest.Character {
	c := checking(new([]agent.FileParams))
	c.Modules = append(c.Modules, waitgraph.Module)
	var looks atomic.Int64
	others := c.Methods[agent.MethodReadFile]
	c.Methods[agent.MethodReadFile] = func(g *vmtest.Guest, raw json.RawMessage) (any, error) {
		var p agent.FileParams
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, err
		}
		switch {
		case p.Path == waitgraph.OrderFile:
			return agent.FileReply{Data: order}, nil
		case p.Path == waitgraph.WaitsFile && looks.Add(1) >= from:
			return agent.FileReply{Data: waits + taken}, nil
		case p.Path == waitgraph.WaitsFile:
			return agent.FileReply{Data: waits}, nil
		}
		return others(g, raw)
	}
	return c
}

// TestWaits: a cycle is recorded when it shows, once, and what was noted is kept
// at the end.
func TestWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		from       int64
		records    int // with the one that says that the module is there
		complaints int
	}{"never": {1 << 40, 2, 0}, "in the storm": {5, 3, 1}} {
		t.Run(name, func(t *testing.T) {
			r := play{rules: someRules(), character: func(int) vmtest.Character { return noting(tt.from) }}.perform(t)
			if r.err != nil {
				t.Fatal(r.err)
			}
			events := r.steps(history.Waits, 1)
			if len(events) != tt.records {
				t.Fatalf("%+v", events)
			}
			last, err := waitgraph.Read([]byte(events[len(events)-1].Text))
			if err != nil {
				t.Fatal(err)
			}
			notes, order, err := last.Parse()
			if err != nil || notes == nil || len(waitgraph.Find(notes, order)) != tt.complaints {
				t.Errorf("%+v, %v", notes, err)
			}
			if got := r.steps(history.Complaint, 1); len(got) != tt.complaints {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestWaitsEnd: a predicted deadlock ends a run that was to end with the first
// finding.
func TestWaitsEnd(t *testing.T) {
	r := play{
		rules: someRules(), character: func(int) vmtest.Character { return noting(5) },
		until: func(f splat.Finding) bool { return f.Type == splat.TypeWaitCycle },
	}.perform(t)
	if end := r.steps(history.GuestEnd, 1); len(end) != 1 || !strings.Contains(end[0].Text, "predicted deadlock") {
		t.Errorf("%+v", end)
	}
}

// TestWaitsTogether: a guest whose kernel shows one half of a cycle, and a later one
// the other, end a run that was to end with the first finding; the judge is left both.
// Lockdep's order is read again soon if it doesn't have a class yet.
func TestWaitsTogether(t *testing.T) {
	const classes = waitgraph.Header + "\nclass 1 L mem_hotplug_lock\nkey L mem_hotplug_lock+0x0/0x80\n"
	half := func(text string) vmtest.Character {
		var looks, orders atomic.Int64
		c := noting(1)
		others := c.Methods[agent.MethodReadFile]
		c.Methods[agent.MethodReadFile] = func(g *vmtest.Guest, raw json.RawMessage) (any, error) {
			switch {
			case strings.Contains(string(raw), waitgraph.WaitsFile):
				looks.Add(1)
				return agent.FileReply{Data: text}, nil
			case strings.Contains(string(raw), waitgraph.OrderFile):
				switch orders.Add(1) {
				case 1:
					return agent.FileReply{Data: waitgraph.Header + "\n"}, nil
				case 2:
					if looks.Load() != 4 {
						t.Errorf("the order is read again at look %d", looks.Load())
					}
				}
				return agent.FileReply{Data: classes}, nil
			}
			return others(g, raw)
		}
		return c
	}
	parts := schedule.InTurn("both", "", time.Hour, 20*time.Second, calm(), calm())
	r := play{
		rules: someRules(), duration: time.Minute, scenario: parts,
		character: func(n int) vmtest.Character {
			if n == 1 {
				return half(waits)
			}
			return half(strings.Replace(waits, "wait stop thread:kcompactd#", "wait stop thread:other", 1) + taken)
		},
		until: func(f splat.Finding) bool { return f.Type == splat.TypeWaitCycle },
	}.perform(t)
	if r.err != nil {
		t.Fatal(r.err)
	}
	if end := r.steps(history.GuestEnd, 2); len(end) != 1 || !strings.Contains(end[0].Text, "predicted deadlock") {
		t.Errorf("%+v", end)
	}
	seen := waitgraph.NewUnion()
	for guest := 1; guest <= 2; guest++ {
		for _, e := range r.steps(history.Waits, guest) {
			record, err := waitgraph.Read([]byte(e.Text))
			if err != nil {
				t.Fatal(err)
			}
			if notes, order, err := record.Parse(); err == nil && notes != nil {
				seen.Add("guest", notes, order)
			}
		}
	}
	if cycles := seen.Cycles(); len(cycles) != 1 {
		t.Errorf("recorded are %d cycles", len(cycles))
	}
}

// TestNoWaits: whoever isn't looked at says why, if it wasn't meant so.
func TestNoWaits(t *testing.T) {
	broken := noting(1)
	load := broken.Methods[agent.MethodLoadModule]
	broken.Methods[agent.MethodLoadModule] = func(g *vmtest.Guest, raw json.RawMessage) (any, error) {
		var p agent.ModuleParams
		if json.Unmarshal(raw, &p); p.Name == waitgraph.Module {
			return nil, errors.New("no such thing")
		}
		return load(g, raw)
	}
	deaf := noting(1)
	read := deaf.Methods[agent.MethodReadFile]
	deaf.Methods[agent.MethodReadFile] = func(g *vmtest.Guest, raw json.RawMessage) (any, error) {
		if strings.Contains(string(raw), waitgraph.Module) {
			return nil, vmtest.ErrNoAnswer
		}
		return read(g, raw)
	}
	for name, tt := range map[string]struct {
		rules     *history.RuleText
		character vmtest.Character
		why       []string
	}{
		"not asked for":   {nil, noting(1), nil},
		"no module":       {someRules(), vmtest.Character{Modules: []string{rules.Module}, Methods: checking(new([]agent.FileParams)).Methods}, []string{"goes without our modules"}},
		"can't be loaded": {someRules(), broken, []string{"no such thing"}},
		"doesn't answer":  {someRules(), deaf, []string{"", "deadline exceeded"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := play{rules: tt.rules, character: func(int) vmtest.Character { return tt.character }}.perform(t)
			if r.err != nil {
				t.Fatal(r.err)
			}
			events := r.steps(history.Waits, 1)
			if len(events) != len(tt.why) {
				t.Fatalf("%+v", events)
			}
			for i, e := range events {
				record, err := waitgraph.Read([]byte(e.Text))
				if err != nil || !strings.Contains(record.Why, tt.why[i]) || tt.why[i] == "" && record.Why != "" {
					t.Errorf("%q, want %q", record.Why, tt.why[i])
				}
			}
		})
	}
}

// TestMuteAtItsEnd: a guest whose agent died with its kernel isn't waited for again
// and again at its end, and what it wasn't asked is said.
func TestMuteAtItsEnd(t *testing.T) {
	report := console(t, "oops")
	r := play{rules: someRules(), character: func(int) vmtest.Character { return noting(1 << 40) }, scene: func(n int, g *vmtest.Guest) {
		if n == 1 {
			time.AfterFunc(10*time.Second, func() {
				g.Print(report)
				g.Mute()
			})
		}
	}}.perform(t)
	told, ended := r.steps(history.Complaint, 1), r.steps(history.GuestEnd, 1)
	if len(told) == 0 || len(ended) != 1 {
		t.Fatalf("%d complaints, %d ends", len(told), len(ended))
	}
	if took := ended[0].At - told[0].At; took > 15*time.Second {
		t.Errorf("it took %s to end", took)
	}
	waits := r.steps(history.Waits, 1)
	if len(waits) == 0 || !strings.Contains(waits[len(waits)-1].Text, `"why"`) {
		t.Errorf("nothing says that it wasn't asked: %+v", waits)
	}
}
