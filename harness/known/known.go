// SPDX-License-Identifier: Apache-2.0

// Package known recognises kernel defects that are already understood, so
// that a run can report them as such and look for others. An issue is data: a
// signature of the finding, where it applies, and why it is real.
package known

import (
	_ "embed"
	"regexp"
	"slices"

	"plugstorm/harness/lockdep"
	"plugstorm/harness/splat"
)

// An Issue is one known defect. The file format is its TOML form; unknown keys
// are errors.
type Issue struct {
	ID string `toml:"id" json:"id"` // lower case, digits and dashes

	// The signature. What is set must match, all of it; at least one of Title,
	// Stack, Locks and Cycle is set. A lock cycle has two sides: an issue that names one
	// of them alone would also explain away whatever else meets it there.
	Title string   `toml:"title" json:"title,omitempty"` // regular expression for the whole title, or one of the alternatives, which an assertion about locks has to do without
	Type  string   `toml:"type" json:"type,omitempty"`   // splat's type
	Stack []string `toml:"stack" json:"stack,omitempty"` // functions, innermost first: all occur in this order, others may stand between; for a lock cycle, in one of its stacks
	Any   []string `toml:"any" json:"any,omitempty"`     // functions: one of them occurs in one of its stacks
	Locks []string `toml:"locks" json:"locks,omitempty"` // lock classes, all of them in the complaint
	// Of a page fault, which then must be one: poison, or a pointer from anywhere
	// else, in the same function is another bug.
	Access  string `toml:"access" json:"access,omitempty"`   // "read", "write" or "execute"
	Address string `toml:"address" json:"address,omitempty"` // regular expression for all 16 hex digits of the address

	Cycle []string `toml:"cycle" json:"cycle,omitempty"` // functions in which the tasks of a hang that wait for each other do so: these and no others

	// Where it applies. Empty means everywhere.
	Machines []string `toml:"machines" json:"machines,omitempty"`
	Kernels  string   `toml:"kernels" json:"kernels,omitempty"` // see constraint

	Reason string `toml:"reason" json:"reason"`           // why it is real, and what the code does
	Source string `toml:"source" json:"source,omitempty"` // where it was seen, or the commit that fixes it
	Link   string `toml:"link" json:"link,omitempty"`     // a discussion or a fix

	title, address *regexp.Regexp
	kernels        constraint
}

// A Set is the issues of one file. The zero and the nil Set know nothing. It is
// read-only and safe for concurrent use.
type Set struct {
	Issues []*Issue // in the order of the file
}

//go:embed issues.toml
var issuesTOML []byte

// Default returns the project's own issues.
func Default() *Set {
	set, err := Load(issuesTOML, "issues.toml")
	if err != nil {
		panic(err) // our own file; TestDefault loads it
	}
	return set
}

// Match returns the first issue that the finding is a sighting of, on a
// machine ("x86_64") that runs a kernel release ("6.12.117-plugstorm"). An
// issue that is limited to some kernels doesn't match an unknown release.
func (s *Set) Match(f splat.Finding, machine, release string) (*Issue, bool) {
	if s == nil {
		return nil, false
	}
	for _, i := range s.Issues {
		if i.applies(machine, release) && i.signs(f) {
			return i, true
		}
	}
	return nil, false
}

// Without is the set without some issues.
func (s *Set) Without(ids ...string) *Set {
	if s == nil || len(ids) == 0 {
		return s
	}
	return &Set{Issues: slices.DeleteFunc(slices.Clone(s.Issues), func(i *Issue) bool { return slices.Contains(ids, i.ID) })}
}

func (i *Issue) applies(machine, release string) bool {
	if len(i.Machines) > 0 && !slices.Contains(i.Machines, machine) {
		return false
	}
	return i.kernels.allows(release)
}

func (i *Issue) signs(f splat.Finding) bool {
	return (i.Type == "" || i.Type == f.Type) &&
		(i.title == nil || i.titled(f)) &&
		stacked(i.Stack, f) &&
		(len(i.Any) == 0 || slices.ContainsFunc(i.Any, func(fn string) bool { return stacked([]string{fn}, f) })) &&
		f.Locks.Has(i.Locks...) && i.cycled(f) && i.accessed(f)
}

// titled doesn't take an assertion about locks by its caller's name: a lock that a
// function lacks is another defect than what the function itself warns of.
func (i *Issue) titled(f splat.Finding) bool {
	if f.Locks != nil && f.Locks.Kind == lockdep.Assertion {
		return i.title.MatchString(f.Title)
	}
	return i.title.MatchString(f.Title) || slices.ContainsFunc(f.Alt, i.title.MatchString)
}

// stacked looks at the stack and, for a lock cycle, at those of the chain that
// lockdep remembers: which side of a cycle complains is a matter of timing.
func stacked(want []string, f splat.Finding) bool {
	if splat.InOrder(want, f.Stack) {
		return true
	}
	return f.Locks != nil && slices.ContainsFunc(f.Locks.Chain, func(l lockdep.Link) bool { return splat.InOrder(want, l.Stack) })
}

func (i *Issue) accessed(f splat.Finding) bool {
	if i.Access == "" && i.address == nil {
		return true
	}
	return f.Access != nil && (i.Access == "" || i.Access == f.Access.Kind) && (i.address == nil || i.address.MatchString(f.Access.Address))
}

func (i *Issue) cycled(f splat.Finding) bool {
	if len(i.Cycle) == 0 {
		return true
	}
	if f.Waits == nil {
		return false
	}
	var sites []string
	for _, w := range f.Waits.Cycle {
		sites = append(sites, f.Waits.Waits[w].Site)
	}
	return slices.Equal(slices.Sorted(slices.Values(sites)), slices.Sorted(slices.Values(i.Cycle)))
}
