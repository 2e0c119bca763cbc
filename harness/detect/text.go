// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"plugstorm/harness/console"
)

// WriteText writes a table for people.
func WriteText(w io.Writer, t *Table) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PLANT\tMACHINE\tBY\tSUITE\tDETECTED\tEXPECTED\tUNKNOWN\tMEDIAN\tMAX\tFROM AGENT\tDETECTOR\tIDENTITIES\tOPS")
	for i := range t.Rows {
		r := &t.Rows[i]
		cells := []string{
			r.Subject.Name, r.Machine, r.By, r.Suite, r.detected(), r.expected(), fmt.Sprint(r.Unknown + r.Unmeasured),
			short(r.FromQEMU.Median, r.Detected), short(r.FromQEMU.Max, r.Detected), short(r.FromAgent.Median, r.Detected),
			orDash(joined(r.Detectors)), fmt.Sprint(len(r.First)), fmt.Sprint(r.Ops),
		}
		for i := range cells {
			cells[i] = console.Escape(cells[i])
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for i := range t.Rows {
		if r := &t.Rows[i]; r.Kernels > 1 {
			if _, err := fmt.Fprintf(w, "%s: runs of %d different kernels are counted together\n", console.Escape(r.String()), r.Kernels); err != nil {
				return err
			}
		}
	}
	for _, c := range t.Compare() {
		if _, err := fmt.Fprintln(w, c.String()); err != nil {
			return err
		}
	}
	return writeShared(w, t)
}

func writeShared(w io.Writer, t *Table) error {
	for _, s := range t.Shared {
		if _, err := fmt.Fprintf(w, "shared by %s: %s\n", console.Escape(strings.Join(s.Subjects, ", ")), console.Escape(s.Identity)); err != nil {
			return err
		}
	}
	return nil
}

// detected says k/N, and of a negative control whether it kept silent.
func (row *Row) detected() string {
	text := fmt.Sprintf("%d/%d", row.Detected, row.Asked)
	switch {
	case !row.Silent:
	case row.Detected > 0:
		text += " (must be silent)"
	case row.Measured():
		text += " (silent, as it must be)"
	}
	return text
}

// expected says how many of the detected runs have the right finding; "-"
// where nothing was detected or nobody knows.
func (row *Row) expected() string {
	switch {
	case row.Detected == 0 || !row.Subject.expects():
		return "-"
	case row.Expected == row.Detected:
		return "yes"
	case row.Expected == 0:
		return "no"
	}
	return fmt.Sprintf("%d of %d", row.Expected, row.Detected)
}

// joined is "a 8, b 1", without the number where there is only one name.
func joined(all []Count) string {
	var parts []string
	for _, c := range all {
		if len(all) == 1 {
			return c.Name
		}
		parts = append(parts, fmt.Sprintf("%s %d", c.Name, c.N))
	}
	return strings.Join(parts, ", ")
}

func short(d time.Duration, detected int) string {
	if detected == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
