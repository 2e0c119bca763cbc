// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"slices"
	"strings"

	"plugstorm/harness/fields"
)

// A Contract is what the callers of a function were seen to hold.
type Contract struct {
	Func    string `json:"func"`
	Checked int64  `json:"checked"` // calls looked at
	Lost    int64  `json:"lost"`    // sightings of locks that the module had no room for: it counts 32 locks a function
	Locks   []Lock `json:"locks"`   // by name
}

// A Lock counts in how many of the checked calls a lock was held.
type Lock struct {
	Name  string `json:"name"`
	Write int64  `json:"write"` // to write, or exclusively
	Read  int64  `json:"read"`
	Not   int64  `json:"not"`
}

// A Frequency says how often a lock was held.
type Frequency string

// The frequencies. A lock that was never seen has no line in a table.
const (
	Always    Frequency = "always"
	Sometimes Frequency = "sometimes"
	Never     Frequency = "never"
	Unknown   Frequency = "not called" // the function, while lockdep was on
	Seen      Frequency = "called"     // the function; for functions that were called in one of two tables
)

// Frequency is always, sometimes or never.
func (l Lock) Frequency() Frequency {
	switch held := l.Write + l.Read; {
	case held+l.Not == 0:
		return Unknown
	case held == 0:
		return Never
	case l.Not == 0:
		return Always
	}
	return Sometimes
}

// Mode is the modes in which the lock was seen held: "w", "r", "w+r" or "".
func (l Lock) Mode() string {
	switch {
	case l.Write > 0 && l.Read > 0:
		return "w+r"
	case l.Write > 0:
		return "w"
	case l.Read > 0:
		return "r"
	}
	return ""
}

// ParseContracts reads the module's contracts file; bad counts the lines that
// could not be read.
func ParseContracts(text string) (all []Contract, bad int, err error) {
	list, err := lines(text)
	if err != nil {
		return nil, 0, err
	}
	for _, line := range list {
		if !addContract(&all, line) {
			bad++
		}
	}
	for i := range all {
		all[i].complete()
	}
	return all, bad, nil
}

func addContract(all *[]Contract, line string) bool {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "func":
		name, rest, _ := strings.Cut(rest, " ")
		f := fields.Of(rest)
		c := Contract{Func: name, Checked: f.Count("checked"), Lost: f.Count("lost"), Locks: []Lock{}}
		if !f.OK() || !plain(name) || len(*all) == maxAnswers {
			return false
		}
		*all = append(*all, c)
		return true
	case "lock":
		words := strings.SplitN(rest, " ", 3)
		if len(words) != 3 || len(*all) == 0 {
			return false
		}
		f := fields.Of(words[0] + " " + words[1])
		l := Lock{Name: words[2], Write: f.Count("w"), Read: f.Count("r")}
		c := &(*all)[len(*all)-1]
		if !f.OK() || l.Name == "" || !plain(l.Name) || len(c.Locks) == maxLocks {
			return false
		}
		c.Locks = append(c.Locks, l)
		return true
	}
	return false
}

// complete sorts a contract's locks and works out how often each wasn't held.
// Calls go on while the module is read, so the counts of a function may be one
// or two apart.
func (c *Contract) complete() {
	slices.SortFunc(c.Locks, func(a, b Lock) int { return strings.Compare(a.Name, b.Name) })
	for i := range c.Locks {
		l := &c.Locks[i]
		l.Not = max(0, c.Checked-l.Write-l.Read)
	}
}

// Merge adds up what several guests saw.
func Merge(guests ...[]Contract) []Contract {
	byFunc := map[string]*Contract{}
	locks := map[string]map[string]*Lock{}
	for _, contracts := range guests {
		for _, c := range contracts {
			m := byFunc[c.Func]
			if m == nil {
				m = &Contract{Func: c.Func, Locks: []Lock{}}
				byFunc[c.Func], locks[c.Func] = m, map[string]*Lock{}
			}
			m.Checked, m.Lost = m.Checked+c.Checked, m.Lost+c.Lost
			for _, l := range c.Locks {
				sum := locks[c.Func][l.Name]
				if sum == nil {
					sum = &Lock{Name: l.Name}
					locks[c.Func][l.Name] = sum
				}
				sum.Write, sum.Read = sum.Write+l.Write, sum.Read+l.Read
			}
		}
	}
	all := []Contract{}
	for name, c := range byFunc {
		for _, l := range locks[name] {
			c.Locks = append(c.Locks, *l)
		}
		c.complete()
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b Contract) int { return cmp.Compare(a.Func, b.Func) })
	return all
}
