// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/known"
	"plugstorm/harness/report"
	"plugstorm/harness/splat"
	"plugstorm/harness/verdict"
	"plugstorm/harness/vm"
)

// Files that a judge writes into a run directory.
const (
	verdictFile = "verdict.json"
	reportFile  = "report.txt"
)

func (a *app) judgeCommand() *cobra.Command {
	var json, lkml bool
	var knownPath string
	c := &cobra.Command{
		Use:   "judge DIR",
		Short: "judge a recorded run again, without a VM",
		Long: `Judge reads the record of a run (or of one machine's part of it) and says
what it showed, by today's rules. It writes verdict.json and report.txt anew.`,
		Example: "  plugstorm judge plugstorm-runs/20261121-120000-seed1\n  plugstorm judge --known none plugstorm-runs/20261121-120000-seed1/pseries",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			set, err := loadKnown(knownPath)
			if err != nil {
				return err
			}
			if json && lkml {
				return blame.Errorf(blame.User, "see plugstorm judge --help", "--json and --lkml exclude each other")
			}
			return a.judge(args[0], set, json, lkml)
		},
	}
	c.Flags().BoolVar(&json, "json", false, "print one JSON object (docs/json.md)")
	c.Flags().BoolVar(&lkml, "lkml", false, "print a mail about each finding of the kernel's that no known issue explains, ready to be sent")
	c.Flags().StringVar(&knownPath, "known", "default", "known-issues file, 'default' for ours, 'none'")
	return c
}

func (a *app) judge(dir string, set knownFile, json, lkml bool) error {
	dir, parts, err := recordedParts(dir)
	if err != nil {
		return err
	}
	p := &plan{flags: &runFlags{json: json}, known: set, dir: dir}
	if lkml {
		p.print = mailFindings
	}
	for _, part := range parts {
		m, err := judgePart(part, set)
		if err != nil {
			return err
		}
		p.report.Machines = append(p.report.Machines, m)
	}
	first := p.report.Machines[0].Case
	p.report.Suite, p.report.Seed, p.report.Duration = first.Suite, first.Seed, first.Duration
	return a.writeReport(p, false)
}

// globEscape takes a pattern's meaning away from a path.
func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// judgeDir judges one machine's part of a run and keeps the verdict there.
func judgeDir(dir string, set knownFile) (report.Machine, error) {
	hearing := verdict.Begin(set.set)
	h, err := history.Scan(dir, hearing.Event)
	if err != nil {
		return report.Machine{}, err
	}
	consoles, err := readConsoles(dir)
	if err != nil {
		return report.Machine{}, err
	}
	v := hearing.Verdict(h.Cut, consoles)
	m := report.Machine{Case: h.Case, Verdict: v, Dir: dir}
	return m, history.WriteJSON(filepath.Join(dir, verdictFile), v)
}

// readConsoles reads the console logs of all guests of a machine's part.
func readConsoles(dir string) (map[int][]byte, error) {
	guests, err := filepath.Glob(filepath.Join(globEscape(dir), "guest-*"))
	if err != nil {
		return nil, blame.On(blame.Harness, err, "")
	}
	logs := map[int][]byte{}
	for _, guest := range guests {
		number, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(guest), "guest-"))
		if err != nil {
			continue // not ours
		}
		data, err := os.ReadFile(filepath.Join(guest, vm.ConsoleLog))
		if err == nil {
			logs[number] = data
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, blame.On(blame.Host, err, "")
		}
	}
	return logs, nil
}

// A knownFile is a loaded set of known issues and where it came from.
type knownFile struct {
	set  *known.Set // nil for none
	path string     // as --known takes it
}

// unexplained reports whether a complaint, seen on a machine that runs a kernel
// release, is a finding that no known issue explains.
func (k knownFile) unexplained(f splat.Finding, machine, release string) bool {
	if !verdict.AboutKernel(f) {
		return false
	}
	_, found := k.set.Match(f, machine, release)
	return !found
}

// loadKnown loads the known issues that --known names.
func loadKnown(path string) (knownFile, error) {
	switch path {
	case "none":
		return knownFile{path: path}, nil
	case "default", "":
		return knownFile{set: known.Default(), path: "default"}, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return knownFile{}, blame.On(blame.User, err, "name a known-issues file with --known, or 'default', or 'none'")
	}
	set, err := known.Load(data, path)
	return knownFile{set: set, path: path}, err
}
