// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"

	"plugstorm/harness/history"
	"plugstorm/harness/report"
	"plugstorm/harness/triage"
	"plugstorm/harness/vm"
)

// mailFindings writes a mail about each finding of a run that isn't known, from
// what the guests' consoles say. A finding that is plugstorm's own (a step that
// hung) is in no console, and makes no mail.
func mailFindings(w io.Writer, r *report.Run) error {
	for _, m := range r.Machines {
		fresh := map[string]bool{}
		for _, f := range m.Verdict.Findings {
			fresh[f.Identity] = f.Known == ""
		}
		consoles, err := readConsoles(m.Dir)
		if err != nil {
			return err
		}
		log := &triage.Log{File: m.Dir}
		for _, number := range slices.Sorted(maps.Keys(consoles)) {
			found, _, err := triage.Read(bytes.NewReader(consoles[number]))
			if err != nil {
				return err
			}
			for _, f := range found {
				if fresh[f.Identity] {
					log.Findings = append(log.Findings, recorded(f, m.Case))
				}
			}
		}
		own := ownSymbols(m.Case.Kernel)
		own.locate(log)
		own.close()
		if err := report.Mails(w, log, vm.Shell(reproducer(m)...)); err != nil {
			return err
		}
	}
	return nil
}

// recorded adds what the run's record knows of kernel and machine: that the
// kernel was patched, no console says.
func recorded(f triage.Finding, c history.Case) triage.Finding {
	if c.Kernel.Name != "" {
		f.Kernel += ", built from " + c.Kernel.Name
	}
	if f.Hardware == "" {
		f.Hardware = c.Machine
	}
	f.Hardware += fmt.Sprintf(", QEMU %s, %s", c.QEMU, c.Accel)
	return f
}

// reproducer is the command that somebody else can repeat the run with: the one
// that drew its schedule, or else the replay of that schedule.
func reproducer(m report.Machine) []string {
	if m.Case.ReplayOf == "" && len(m.Case.Command) > 0 {
		return m.Case.Command
	}
	return m.Replay
}
