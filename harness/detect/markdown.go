// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"plugstorm/harness/console"
	"plugstorm/harness/page"
	"plugstorm/harness/vm"
)

// Sections are the texts that a table gives for page.Rewrite: "table" has a row for
// each plant and machine, "seeds" one for each plant.
func Sections(t *Table, host Host, now time.Time) map[string]string {
	return map[string]string{"table": tableMarkdown(t, host, now), "seeds": seedsMarkdown(t)}
}

func tableMarkdown(t *Table, host Host, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\n", conditions(t, host, now))
	peers := peersOf(t)
	b.WriteString("| plant | machine | suite | detected | expected? | median s | max s | median s from the agent | detector | identities | unknown |")
	for _, peer := range peers {
		fmt.Fprintf(&b, " %s |", peer)
	}
	b.WriteString("\n" + strings.Repeat("|---", 11+len(peers)) + "|\n")
	for i := range t.Rows {
		r := &t.Rows[i]
		if r.By != ours {
			continue
		}
		cells := []string{
			r.Subject.Name, r.Machine, r.Suite, r.detected(), r.expected(),
			bare(r.FromQEMU.Median, r.Detected), bare(r.FromQEMU.Max, r.Detected), bare(r.FromAgent.Median, r.Detected),
			orDash(joined(r.Detectors)), fmt.Sprint(len(r.First)), fmt.Sprint(r.Unknown + r.Unmeasured),
		}
		for _, peer := range peers {
			cells = append(cells, t.peerCell(r, peer))
		}
		page.Row(&b, cells...)
	}
	for _, c := range t.Compare() {
		fmt.Fprintf(&b, "\n%s.\n", c.String())
	}
	for _, s := range t.Shared {
		fmt.Fprintf(&b, "\nShared by %s: `%s`\n", console.Escape(strings.Join(s.Subjects, ", ")), strings.ReplaceAll(console.Escape(s.Identity), "`", "'"))
	}
	b.WriteString("\n")
	return b.String()
}

// conditions says on what a table was measured.
func conditions(t *Table, host Host, now time.Time) string {
	var releases, qemus, accels []string
	for _, r := range t.Rows {
		if r.Release != "" {
			releases, qemus, accels = append(releases, r.Release), append(qemus, r.QEMU), append(accels, r.Accel)
		}
	}
	cpu := host.CPU
	if cpu == "" {
		cpu = "CPUs of an unknown model"
	}
	return fmt.Sprintf("Written by `plugstorm bench detect` on %s: %d seeds from %d, %s after the agent's start each; %d cores (%s), %d guests at a time; kernel %s, QEMU %s, %s. "+
		"Seconds count from QEMU's start, unless the column says otherwise: a guest that was restored and not booted has no boot in them.",
		now.UTC().Format(time.DateOnly), t.Plan.Seeds, t.Plan.First, t.Plan.Budget, host.Cores, cpu, host.Jobs,
		orDash(strings.Join(distinct(releases), ", ")), orDash(strings.Join(distinct(qemus), ", ")), orDash(strings.Join(distinct(accels), ", ")))
}

// peersOf lists the peers of a table by name.
func peersOf(t *Table) []string {
	var all []string
	for _, r := range t.Rows {
		if r.By != ours {
			all = append(all, r.By)
		}
	}
	return distinct(all)
}

// peerCell is what a peer made of a row of ours.
func (t *Table) peerCell(ours *Row, peer string) string {
	r := t.peerRow(ours, peer)
	if r == nil {
		return "-"
	}
	text := fmt.Sprintf("%d/%d", r.Detected, r.Asked)
	if r.Detected > 0 {
		text += ", " + short(r.FromQEMU.Median, r.Detected)
	}
	if unknown := r.Unknown + r.Unmeasured; unknown > 0 {
		text += fmt.Sprintf(", %d unknown", unknown)
	}
	return text
}

// seedsMarkdown is the short table: what each plant is, and how to see it.
func seedsMarkdown(t *Table) string {
	var b strings.Builder
	b.WriteString("\n| seed | hazard | scenario | plant | detector | median s | command |\n|---|---|---|---|---|---|---|\n")
	for i := range t.Plan.Subjects {
		s := &t.Plan.Subjects[i]
		var detectors, medians []string
		for _, r := range t.Rows {
			if r.Subject == s && r.By == ours && !r.Silent {
				for _, d := range r.Detectors {
					detectors = append(detectors, d.Name)
				}
				medians = append(medians, fmt.Sprintf("%s %s", r.Machine, bare(r.FromQEMU.Median, r.Detected)))
			}
		}
		seed := "-"
		if number, ok := strings.CutPrefix(s.Suite, "seed"); ok {
			seed = number
		}
		words := slices.Concat([]string{"plugstorm", "run"}, s.Pick, []string{"--suite", s.Suite, "--first"})
		if len(s.Machines) == 1 {
			words = append(words, "--machine", s.Machines[0])
		}
		page.Row(&b, []string{
			seed, cmp.Or(s.Hazard, s.Title), s.Suite, s.Name, orDash(strings.Join(distinct(detectors), ", ")), orDash(strings.Join(medians, ", ")),
			"`" + vm.Shell(words...) + "`",
		}...)
	}
	b.WriteString("\n")
	return b.String()
}

// bare is short without the unit.
func bare(d time.Duration, detected int) string { return strings.TrimSuffix(short(d, detected), "s") }
