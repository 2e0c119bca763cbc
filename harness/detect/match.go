// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"plugstorm/harness/blame"
	"plugstorm/harness/lockdep"
	"plugstorm/harness/splat"
)

// A Matcher recognises the right finding of a plant. What is set must hold,
// all of it.
type Matcher struct {
	Text  string         // as it was parsed
	Types []string       // one of them is the finding's type
	Title *regexp.Regexp // matches somewhere in the title or in an alternative one
	Locks []string       // lock classes, all of them in the complaint
	Stack []string       // functions, innermost first, in this order within one of its stacks; others may stand between
	Any   []string       // functions, one of which is in one of its stacks
}

// ParseMatcher reads clauses separated by semicolons, each a key and its words:
//
//	type LOCKDEP WARNING; title possible deadlock in .*; locks slab_mutex; stack a b; any c d
func ParseMatcher(text string) (*Matcher, error) {
	m := &Matcher{Text: text}
	for clause := range strings.SplitSeq(text, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(clause), " ")
		if err := m.clause(key, strings.TrimSpace(value)); err != nil {
			return nil, blame.Errorf(blame.User, "clauses are: type, title, locks, stack, any; see docs/detection.md", "match %q: %w", text, err)
		}
	}
	return m, nil
}

// clause takes one clause in.
func (m *Matcher) clause(key, value string) error {
	if value == "" {
		return fmt.Errorf("clause %q has no value", key)
	}
	if key == "title" {
		if m.Title != nil {
			return fmt.Errorf("two titles: use one regular expression, or two lines")
		}
		re, err := regexp.Compile(value)
		m.Title = re
		return err
	}
	list := map[string]*[]string{"type": &m.Types, "locks": &m.Locks, "stack": &m.Stack, "any": &m.Any}[key]
	if list == nil {
		return fmt.Errorf("unknown clause %q", key)
	}
	*list = append(*list, strings.Fields(value)...)
	return nil
}

// matches reports whether a finding is the one that is meant.
func (m *Matcher) matches(f splat.Finding) bool {
	stacks := stacksOf(f)
	return (len(m.Types) == 0 || slices.Contains(m.Types, f.Type)) &&
		(m.Title == nil || m.Title.MatchString(f.Title) || slices.ContainsFunc(f.Alt, m.Title.MatchString)) &&
		f.Locks.Has(m.Locks...) &&
		(len(m.Stack) == 0 || slices.ContainsFunc(stacks, func(s []string) bool { return splat.InOrder(m.Stack, s) })) &&
		(len(m.Any) == 0 || slices.ContainsFunc(stacks, func(s []string) bool {
			return slices.ContainsFunc(m.Any, func(fn string) bool { return slices.Contains(s, fn) })
		}))
}

// stacksOf is the finding's own stack and those that lockdep remembers: which
// side of a cycle complains is a matter of timing.
func stacksOf(f splat.Finding) [][]string {
	stacks := [][]string{f.Stack}
	if f.Locks != nil {
		for _, link := range f.Locks.Chain {
			stacks = append(stacks, link.Stack)
		}
		for _, usage := range f.Locks.Usages {
			stacks = append(stacks, usage.Stack)
		}
	}
	return stacks
}

// slim is a finding without what only people read, as results keep it.
func slim(f splat.Finding) splat.Finding {
	f.Text, f.Explain, f.Waits = "", "", nil
	if f.Locks != nil {
		f.Locks = &lockdep.Report{Kind: f.Locks.Kind, Classes: f.Locks.Classes, Chain: f.Locks.Chain, Usages: f.Locks.Usages}
	}
	return f
}
