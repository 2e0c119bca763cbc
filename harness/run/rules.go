// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/history"
	"plugstorm/harness/rules"
)

// LocksFile is where a guest's rule checker is quoted, in the guest's directory
// (rules.ParseGuest).
const LocksFile = "locks.txt"

const (
	loadRulesLimit = 10 * time.Second      // to load the checker and set all of its probes; stretched
	countLimit     = 30 * time.Millisecond // more for each function that is only counted: there may be thousands
	readRulesLimit = 5 * time.Second       // for each of its two answers; stretched
)

// loadRules has the guest's kernel check the run's rules. A kernel that can't
// is tested without: that is written down.
func (g *guest) loadRules(hello agent.Hello) {
	check := &history.RuleCheck{Widen: g.widen()}
	if g.primed {
		g.checked = true
	} else if err := g.installRules(hello, check.Widen); err != nil {
		check.Why, check.Widen = err.Error(), nil
	} else {
		g.checked = true
	}
	g.history.Add(history.Event{Type: history.Rules, Guest: g.number, Rules: check})
}

// widen lists the guest's delays.
func (g *guest) widen() []rules.Widening {
	return slices.Concat(g.cfg.Case.Widen, g.scenario.Widenings(g.cfg.Case.Seed, g.number))
}

// primes reports whether the checkers are loaded before the guest is saved, for
// those that go on from there to have them: setting all probes takes longer than
// the rest of a start. A guest's own delays are part of its rules, so one that has
// some is given them afterwards.
func (g *guest) primes() bool {
	return g.rules != nil && !g.scenario.NoRules && len(g.widen()) == 0
}

func (g *guest) installRules(hello agent.Hello, widen []rules.Widening) error {
	if !slices.Contains(hello.Modules, rules.Module) {
		return fmt.Errorf("this kernel goes without our modules")
	}
	text, err := g.rules.For(g.cfg.Case.Kernel.Release, hello.Arch, widen)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(g.ctx, g.vm.Deadline(loadRulesLimit+time.Duration(len(g.rules.Counts))*countLimit))
	defer cancel()
	if err := g.vm.Agent.Call(ctx, agent.MethodLoadModule, agent.ModuleParams{Name: rules.Module}, nil); err != nil {
		return err
	}
	return g.vm.Agent.Call(ctx, agent.MethodWriteFile, agent.FileParams{Path: rules.RulesFile, Data: text}, nil)
}

// readRules keeps what the rule checker saw, if the guest still tells.
func (g *guest) readRules(ctx context.Context) {
	if !g.checked {
		return
	}
	check := &history.RuleCheck{}
	status, err := g.quoteRules(ctx)
	if err != nil {
		check.Why = err.Error()
	}
	check.Status = status
	g.history.Add(history.Event{Type: history.Rules, Guest: g.number, Rules: check})
}

// quoteRules writes the checker's answers down as they are and returns the
// status in them.
func (g *guest) quoteRules(ctx context.Context) (*rules.Status, error) {
	status, err := g.readFile(ctx, rules.StatusFile)
	if err != nil {
		return nil, err
	}
	contracts, err := g.readFile(ctx, rules.ContractsFile)
	if err != nil {
		return nil, err
	}
	if err := history.WriteFile(filepath.Join(g.vm.Spec.Dir, LocksFile), []byte(rules.Join(status, contracts))); err != nil {
		g.blame(err)
	}
	return rules.ParseStatus(status)
}

func (g *guest) readFile(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, g.vm.Deadline(readRulesLimit))
	defer cancel()
	var reply agent.FileReply
	err := g.vm.Agent.Call(ctx, agent.MethodReadFile, agent.FileParams{Path: path, Max: rules.MaxAnswer}, &reply)
	return reply.Data, err
}
