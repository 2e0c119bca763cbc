// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/known"
	"plugstorm/harness/report"
	"plugstorm/harness/rules"
	"plugstorm/harness/run"
	"plugstorm/harness/verdict"
)

func (a *app) locksCommand() *cobra.Command {
	var json, diff bool
	c := &cobra.Command{
		Use:   "locks DIR [DIR2]",
		Short: "which locks the callers of hotplug functions were seen to hold",
		Long: `Locks prints, for each machine of a run, the locks that were held when
functions of memory and CPU hotplug were called: always, sometimes, in which
mode; how many of the functions were called whose calls are only counted
(plugstorm images functions); and the rules about locks with the calls that each
was checked at. docs/rules.md says what is watched and what can't be seen.

With --diff it prints what differs between two runs, usually of two kernels:
locks that were always held in one of them and not in the other, locks held in
another mode, and functions that were called in one of them only. Differences
that so few calls may show by chance are listed apart.`,
		Example: `  plugstorm locks plugstorm-runs/20261121-120000-seed1
  plugstorm locks --json plugstorm-runs/20261121-120000-seed1/pseries
  plugstorm locks --diff runs/unmodified runs/patched`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case diff && len(args) == 2:
				return a.locksDiff(args[0], args[1], json)
			case !diff && len(args) == 1:
				return a.locks(args[0], json)
			}
			return blame.Errorf(blame.User, "see plugstorm locks --help", "locks takes one run directory, and with --diff two")
		},
	}
	c.Flags().BoolVar(&json, "json", false, "print one JSON object (docs/json.md)")
	c.Flags().BoolVar(&diff, "diff", false, "print what differs between two runs")
	return c
}

// A locksOutput is what locks --json prints.
type locksOutput struct {
	Version  int            `json:"version"`
	RunDir   string         `json:"run_dir"`
	Machines []*rules.Table `json:"machines"`
}

// A locksDiffOutput is what locks --diff --json prints.
type locksDiffOutput struct {
	Version  int                `json:"version"`
	Machines []machineLocksDiff `json:"machines"`
}

type machineLocksDiff struct {
	Machine string         `json:"machine"`
	Before  string         `json:"before"` // kernels
	After   string         `json:"after"`
	Changes []rules.Change `json:"changes"`
}

func (a *app) locks(dir string, json bool) error {
	dir, tables, err := lockTables(dir)
	if err != nil {
		return err
	}
	if json {
		return blame.On(blame.Host, a.printJSON(locksOutput{report.JSONVersion, dir, tables}), "")
	}
	for i, table := range tables {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		if err := table.WriteText(a.stdout); err != nil {
			return blame.On(blame.Host, err, "")
		}
	}
	return nil
}

func (a *app) locksDiff(before, after string, json bool) error {
	_, old, err := lockTables(before)
	if err != nil {
		return err
	}
	_, now, err := lockTables(after)
	if err != nil {
		return err
	}
	out := locksDiffOutput{Version: report.JSONVersion, Machines: []machineLocksDiff{}}
	for _, x := range old {
		for _, y := range now {
			if x.Machine == y.Machine {
				changes := append(rules.Diff(x.Contracts, y.Contracts), rules.DiffCounted(x.Counts, y.Counts)...)
				out.Machines = append(out.Machines, machineLocksDiff{x.Machine, x.Kernel, y.Kernel, changes})
			}
		}
	}
	if len(out.Machines) == 0 {
		return blame.Errorf(blame.User, "name two runs of the same machine", "%s and %s have no machine in common", before, after)
	}
	if json {
		return blame.On(blame.Host, a.printJSON(out), "")
	}
	for _, m := range out.Machines {
		if err := rules.WriteDiff(a.stdout, m.Machine, m.Before, m.After, m.Changes); err != nil {
			return blame.On(blame.Host, err, "")
		}
	}
	return nil
}

// lockTables reads the tables of all machines of a run.
func lockTables(dir string) (string, []*rules.Table, error) {
	dir, parts, err := recordedParts(dir)
	if err != nil {
		return "", nil, err
	}
	var tables []*rules.Table
	for _, part := range parts {
		table, err := lockTable(part)
		if err != nil {
			return "", nil, err
		}
		tables = append(tables, table)
	}
	return dir, tables, nil
}

// lockTable adds up what the guests of one machine's part saw, in all slots.
func lockTable(t part) (*rules.Table, error) {
	var table *rules.Table
	var seen []*rules.Guest
	var counts rules.Set
	var judged []verdict.Part
	for i, dir := range t.slots {
		hearing := verdict.Begin(known.Default())
		h, err := history.Scan(dir, hearing.Event)
		if err != nil {
			return nil, err
		}
		if table == nil {
			table = &rules.Table{Machine: h.Case.Machine, Kernel: h.Case.Kernel.Name}
			if counts, err = countsOf(h.Case.Rules); err != nil {
				return nil, err
			}
		}
		v := hearing.Verdict(h.Cut, nil)
		judged = append(judged, verdict.Part{Slot: max(i+1, slotNumber(dir)), Started: h.Case.Started, Verdict: v})
		for _, g := range v.Guests {
			saw, err := guestLocks(dir, g.Number)
			if err != nil {
				return nil, err
			}
			if saw != nil {
				seen, table.Bad = append(seen, saw), table.Bad+saw.Bad
			}
		}
	}
	table.Rules = judged[0].Verdict.Rules
	if !t.alone() {
		table.Rules = verdict.Join(judged).Rules
	}
	if table.Rules == nil || len(seen) == 0 {
		return nil, blame.Errorf(blame.User, "run it with --rules, on a kernel that has our modules", "%s holds no table of locks: %s", t.dir, whyNoLocks(table.Rules))
	}
	var contracts [][]rules.Contract
	var statuses []*rules.Status
	for _, g := range seen {
		contracts, statuses = append(contracts, g.Contracts), append(statuses, g.Status)
	}
	table.Contracts, table.Counts = rules.Merge(contracts...), counts.Counted(statuses)
	return table, nil
}

// countsOf is what a run's rules have counted; nothing without rules.
func countsOf(text *history.RuleText) (rules.Set, error) {
	if text == nil {
		return rules.Set{}, nil
	}
	set, err := rules.Parse(text.Text, text.Name)
	if err != nil {
		return rules.Set{}, err
	}
	return rules.Set{Counts: set.Counts}, nil
}

// guestLocks reads what a guest's rule checker saw; nil for nothing, which is told in
// Rules.Why.
func guestLocks(dir string, guest int) (*rules.Guest, error) {
	file := filepath.Join(dir, fmt.Sprintf("guest-%d", guest), run.LocksFile)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // it was lost, or has no checker
	}
	if err != nil {
		return nil, blame.On(blame.Host, err, "")
	}
	saw, err := rules.ParseGuest(string(text))
	if err != nil {
		return nil, blame.Errorf(blame.User, "was it damaged?", "%s: %w", file, err)
	}
	return saw, nil
}

func whyNoLocks(t *rules.Tally) string {
	if t == nil || len(t.Why) == 0 {
		return "the run went without the rule checker"
	}
	return t.Why[0]
}
