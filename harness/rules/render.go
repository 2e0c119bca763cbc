// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// A Table is what one machine's guests saw, for `plugstorm locks`.
type Table struct {
	Machine   string     `json:"machine"`
	Kernel    string     `json:"kernel"`
	Contracts []Contract `json:"contracts"`
	Counts    []Counted  `json:"counts"` // in the order of the rule file
	Rules     *Tally     `json:"rules"`
	Bad       int        `json:"bad"` // lines of the guests' answers that could not be read
}

// WriteText writes a table for people.
func (t *Table) WriteText(w io.Writer) error {
	p := &printer{w: w}
	p.f("== %s: %s\n", t.Machine, t.Kernel)
	for _, why := range t.Rules.Why {
		p.f("! %s\n", why)
	}
	if t.Bad > 0 {
		p.f("! %d lines of the checker's answers could not be read\n", t.Bad)
	}
	var silent []string
	for _, c := range t.Contracts {
		if c.Checked == 0 {
			silent = append(silent, c.Func)
			continue
		}
		p.contract(c)
	}
	if len(silent) > 0 {
		p.f("\nnot called while lockdep was on, or not in this kernel: %s\n", strings.Join(silent, " "))
	}
	p.counts(t.Counts)
	p.tally(t.Rules)
	return p.err
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) contract(c Contract) {
	p.f("\n%s, %s", c.Func, plural(c.Checked, "call"))
	if c.Lost > 0 {
		p.f(" (%d sightings of further locks were not counted)", c.Lost)
	}
	p.f("\n")
	if len(c.Locks) == 0 {
		p.f("    no lock held\n")
	}
	for _, frequency := range []Frequency{Always, Sometimes} {
		var locks []string
		for _, l := range c.Locks {
			if l.Frequency() == frequency {
				locks = append(locks, l.text())
			}
		}
		if len(locks) > 0 {
			p.f("    %-9s  %s\n", frequency, strings.Join(locks, "  "))
		}
	}
}

// text is "mem_hotplug_lock(w)", with counts where it was not always the same.
func (l Lock) text() string {
	switch {
	case l.Frequency() == Always && (l.Write == 0 || l.Read == 0):
		return fmt.Sprintf("%s(%s)", l.Name, l.Mode())
	case l.Write > 0 && l.Read > 0:
		return fmt.Sprintf("%s(w %d, r %d, not %d)", l.Name, l.Write, l.Read, l.Not)
	}
	return fmt.Sprintf("%s(%s %d, not %d)", l.Name, l.Mode(), l.Write+l.Read, l.Not)
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (p *printer) tally(t *Tally) {
	p.f("\nrules: %d checked, %d of them broken, %d not checked\n", t.Checked, t.Broken, len(t.NotChecked))
	why := map[string]string{}
	for _, n := range t.NotChecked {
		why[n.Rule] = n.Why
	}
	table := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, r := range t.Results {
		said := plural(r.Hits, "call")
		switch {
		case why[r.Rule] != "":
			said = "not checked: " + why[r.Rule]
		case r.Violations > 0:
			said += fmt.Sprintf(", BROKEN %d times", r.Violations)
		}
		if p.err == nil {
			_, p.err = fmt.Fprintf(table, "    %s\t%s\n", r.Rule, said)
		}
	}
	if err := table.Flush(); p.err == nil {
		p.err = err
	}
}

// WriteDiff writes what differs between two tables for people.
func WriteDiff(w io.Writer, machine, before, after string, changes []Change) error {
	p := &printer{w: w}
	p.f("== %s: %s -> %s\n", machine, before, after)
	sure, maybe, once := 0, 0, 0
	for _, c := range changes {
		switch {
		case c.Lock == "":
			if once++; once == 1 {
				p.f("\ncalled on one side only (while lockdep was on):\n")
			}
			p.f("    %s: %d calls -> %d calls\n", c.Func, c.A.Calls, c.B.Calls)
			continue
		case !c.Chance:
			if sure++; sure == 1 {
				p.f("\nchanged:\n")
			}
		default:
			if maybe++; maybe == 1 {
				p.f("\nmay be chance, the calls are few:\n")
			}
		}
		p.f("    %s: %s %s -> %s\n", c.Func, c.Lock, c.A.text(c.Before), c.B.text(c.After))
	}
	if len(changes) == 0 {
		p.f("no change\n")
	}
	return p.err
}

// text is "always(w), 12 of 12 calls".
func (c Counts) text(f Frequency) string {
	s := string(f)
	if c.Mode != "" {
		s += "(" + c.Mode + ")"
	}
	return fmt.Sprintf("%s, %d of %d", s, c.Write+c.Read, c.Calls)
}
