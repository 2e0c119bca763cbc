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
	"plugstorm/harness/verdict"
	"plugstorm/harness/vm"
)

// mailFindings writes a mail about each finding of a run that isn't known, from
// what the guests' consoles say. A finding that is plugstorm's own (a step that
// hung) is in no console, and makes no mail.
func mailFindings(w io.Writer, r *report.Run) error {
	var all []report.Machine
	for _, m := range r.Machines {
		all = append(all, bySlot(m)...)
	}
	for _, m := range all {
		fresh := map[string]bool{}
		for _, f := range m.Verdict.Findings {
			fresh[f.Identity] = fresh[f.Identity] || f.Known == ""
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

// bySlot takes a machine's part of a run apart into its slots, each with the
// findings that came there first. Without slots it is one piece.
func bySlot(m report.Machine) []report.Machine {
	if len(m.Slots) == 0 {
		return []report.Machine{m}
	}
	var all []report.Machine
	for _, s := range m.Slots {
		if s.Dir == "" {
			continue
		}
		own := *m.Verdict
		own.Findings = slices.DeleteFunc(slices.Clone(own.Findings), func(f verdict.Finding) bool { return f.Slot != s.Number })
		all = append(all, report.Machine{Case: s.Case, Verdict: &own, Dir: s.Dir, Replay: s.Replay})
	}
	return all
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
