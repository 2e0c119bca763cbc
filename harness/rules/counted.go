// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"slices"
	"strings"
)

// A Counted is a function of which only calls were counted, and what came of it.
type Counted struct {
	Func   string `json:"func"`
	Source string `json:"source"` // see Count
	Called
}

// Counted says what several guests called of what the set counts.
func (s *Set) Counted(guests []*Status) []Counted {
	all, calls := []Counted{}, CallsOf(guests)
	for _, c := range s.Counts {
		all = append(all, Counted{c.Symbol, c.Source, calls.Of(c.Symbol)})
	}
	return all
}

// DiffCounted lists the functions that were called in one of two tables only, as
// Diff does, by name. What nobody knows of is no difference.
func DiffCounted(a, b []Counted) []Change {
	changes := []Change{}
	before := map[string]Counted{}
	for _, c := range a {
		before[c.Func] = c
	}
	for _, now := range b {
		old, both := before[now.Func]
		if !both || old.Why != "" || now.Why != "" || (old.Calls > 0) == (now.Calls > 0) {
			continue
		}
		changes = append(changes, calledOnce(now.Func, old.Calls, now.Calls))
	}
	slices.SortFunc(changes, func(x, y Change) int { return cmp.Compare(x.Func, y.Func) })
	return changes
}

// counts writes, source by source, how many functions were called and which ones
// never.
func (p *printer) counts(all []Counted) {
	if len(all) == 0 {
		return
	}
	bySource := map[string][]Counted{}
	var sources []string
	for _, c := range all {
		if bySource[c.Source] == nil {
			sources = append(sources, c.Source)
		}
		bySource[c.Source] = append(bySource[c.Source], c)
	}
	called, unknown, _ := sortCounted(all)
	p.f("\ncounted: %d of %d functions called, of %d nobody knows\n", called, len(all)-len(unknown), len(unknown))
	for _, source := range sources {
		of := bySource[source]
		called, unknown, never := sortCounted(of)
		p.f("    %s: %d of %d called\n", cmp.Or(source, "-"), called, len(of)-len(unknown))
		if len(never) > 0 {
			p.f("        never called: %s\n", strings.Join(never, " "))
		}
		if len(unknown) > 0 {
			p.f("        nobody knows: %s\n", strings.Join(unknown, " "))
		}
	}
}

// sortCounted counts the functions that were called, and names the others.
func sortCounted(all []Counted) (called int, unknown, never []string) {
	for _, c := range all {
		switch {
		case c.Why != "":
			unknown = append(unknown, c.Func)
		case c.Calls == 0:
			never = append(never, c.Func)
		default:
			called++
		}
	}
	return called, unknown, never
}
