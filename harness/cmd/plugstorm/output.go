// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"path/filepath"
	"strings"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/report"
	"plugstorm/harness/verdict"
)

// names joins names for a flag's help.
func names(list []string) string { return strings.Join(list, ", ") }

// replayWords is the command that repeats a recorded schedule.
func replayWords(dir string) []string { return []string{"plugstorm", "replay", dir} }

// reportRun reports a run that has just ended, incomplete if a machine could
// not be run to its end.
func (a *app) reportRun(p *plan, incomplete bool) error {
	p.report.Suite, p.report.Seed, p.report.Duration = p.scenario.Name, p.seed, p.duration
	return a.writeReport(p, incomplete)
}

// writeReport writes the report to the run directory and to stdout, and turns
// the status into the command's error.
func (a *app) writeReport(p *plan, incomplete bool) error {
	r := &p.report
	r.Dir, r.Replay = p.dir, replayWords(p.dir)
	var all []verdict.Status
	for _, m := range r.Machines {
		all = append(all, m.Verdict.Status)
	}
	if incomplete {
		all = append(all, verdict.Unknown)
	}
	r.Status = verdict.Merge(all...)
	var text bytes.Buffer
	if err := report.Text.Write(&text, r); err != nil {
		return err
	}
	if err := history.WriteFile(filepath.Join(p.dir, reportFile), text.Bytes()); err != nil {
		return err
	}
	a.ui.close()
	write := report.Text.Write
	switch {
	case p.print != nil:
		write = p.print
	case p.flags.json:
		write = report.JSON.Write
	}
	if err := write(a.stdout, r); err != nil {
		return blame.On(blame.Host, err, "")
	}
	if r.Status != verdict.Clean {
		return verdictError{r.Status}
	}
	return nil
}
