// SPDX-License-Identifier: Apache-2.0

package speed

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"plugstorm/harness/console"
	"plugstorm/harness/page"
)

// JSONVersion is that of the output of bench speed --json: raised when a field
// changes its meaning or goes away. docs/json.md describes it.
const JSONVersion = 1

// A Host is what a benchmark ran on. Zero values are unknown.
type Host struct {
	Cores  int               `json:"cores"` // that we may use
	CPU    string            `json:"cpu"`   // its model
	MemMiB int64             `json:"mem_mib"`
	Kernel string            `json:"kernel"` // uname -r
	QEMU   map[string]string `json:"qemu"`   // version by machine
	Start  Business          `json:"start"`
	End    Business          `json:"end"`
}

// Business is how busy a host is.
type Business struct {
	Load     float64 `json:"load"`     // runnable tasks, a minute's mean
	Pressure float64 `json:"pressure"` // share of the last minute in which somebody waited for a CPU, in % (/proc/pressure/cpu)
}

func (b Business) String() string {
	return fmt.Sprintf("load %.1f, CPU pressure %.0f %%", b.Load, b.Pressure)
}

type tableJSON struct {
	Version  int         `json:"version"`
	Complete bool        `json:"complete"`
	Dir      string      `json:"dir"`
	Host     Host        `json:"host"`
	Rows     []rowJSON   `json:"rows"`
	Ratios   []ratioJSON `json:"ratios"`
}

type rowJSON struct {
	Part     string              `json:"part"`
	Machine  string              `json:"machine"`
	What     string              `json:"what"`
	Size     int                 `json:"size"`
	Failed   int                 `json:"failed"`
	Notes    []string            `json:"notes"`
	Measures map[string]statJSON `json:"measures"`
}

type statJSON struct {
	N      int     `json:"n"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

type ratioJSON struct {
	Part    string   `json:"part"`
	Machine string   `json:"machine"`
	Of      string   `json:"of"`
	OfSize  int      `json:"of_size"`
	By      string   `json:"by"`
	BySize  int      `json:"by_size"`
	Ratio   statJSON `json:"ratio"`
}

// WriteJSON writes a table as one JSON object on one line.
func WriteJSON(w io.Writer, t *Table, host Host, dir string) error {
	out := tableJSON{Version: JSONVersion, Complete: t.Complete(), Dir: dir, Host: host, Rows: []rowJSON{}, Ratios: []ratioJSON{}}
	for _, r := range t.Rows {
		row := rowJSON{r.Part.Name, r.Machine, r.What, r.Size, r.Failed, append([]string{}, r.Notes...), map[string]statJSON{}}
		for name, s := range r.Stats {
			row.Measures[name] = statJSON(s)
		}
		out.Rows = append(out.Rows, row)
	}
	for _, r := range t.Ratios {
		out.Ratios = append(out.Ratios, ratioJSON{r.Part.Name, r.Machine, r.Of.What, r.Of.Size, r.By.What, r.By.Size, statJSON(r.Stat)})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(out)
}

// WriteText writes a table for people: medians, with least and most.
func WriteText(w io.Writer, t *Table, host Host) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range Parts {
		p := &Parts[i]
		rows := t.of(p)
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintln(table, strings.Join(head(p), "\t"))
		for _, r := range rows {
			cells := r.cells()
			for i := range cells {
				cells[i] = console.Escape(cells[i])
			}
			fmt.Fprintln(table, strings.Join(cells, "\t"))
		}
		for _, r := range t.Ratios {
			if r.Part == p {
				fmt.Fprintln(table, r)
			}
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, console.Escape(host.String()))
	return err
}

// Sections are the texts that a table gives for page.Rewrite: one for each part
// that was measured.
func Sections(t *Table, host Host, now time.Time) map[string]string {
	texts := map[string]string{}
	for i := range Parts {
		p := &Parts[i]
		rows := t.of(p)
		if len(rows) == 0 {
			continue
		}
		var b strings.Builder
		fmt.Fprintf(&b, "\nWritten by `plugstorm bench speed` on %s: %s.\n\n", now.UTC().Format(time.DateOnly), console.Escape(host.String()))
		page.Head(&b, head(p)...)
		for _, r := range rows {
			page.Row(&b, r.cells()...)
		}
		b.WriteString("\n")
		for _, r := range t.Ratios {
			if r.Part == p {
				fmt.Fprintf(&b, "* %s\n", r)
			}
		}
		texts[p.Name] = b.String()
	}
	return texts
}

func (t *Table) of(p *Part) []Row {
	return slices.DeleteFunc(slices.Clone(t.Rows), func(r Row) bool { return r.Part != p })
}

func head(p *Part) []string {
	cells := []string{p.Name, "machine"}
	if p.Size != "" {
		cells = append(cells, p.Size)
	}
	for _, m := range p.Measures {
		cells = append(cells, strings.TrimSpace(strings.ReplaceAll(m.label(), "_", " ")+" "+m.Unit))
	}
	return append(cells, "n")
}

// label is the measure's name without its unit.
func (m Measure) label() string {
	for _, unit := range []string{"_per_s", "_s", "_ms", "_mib"} {
		if name, ok := strings.CutSuffix(m.Name, unit); ok {
			return name
		}
	}
	return m.Name
}

func (r *Row) cells() []string {
	cells := []string{r.What, orDash(r.Machine)}
	if r.Part.Size != "" {
		cells = append(cells, strconv.Itoa(r.Size))
	}
	n := 0
	for _, m := range r.Part.Measures {
		s, ok := r.Stats[m.Name]
		cells = append(cells, "-")
		if ok {
			cells[len(cells)-1] = s.String()
		}
		n = max(n, s.N)
	}
	last := strconv.Itoa(n)
	if r.Failed > 0 {
		last += fmt.Sprintf(", %d failed", r.Failed)
	}
	if len(r.Notes) > 0 {
		last += ": " + strings.Join(r.Notes, "; ")
	}
	return append(cells, last)
}

// String is the median, and least to most where they differ from it.
func (s Stat) String() string {
	text := short(s.Median)
	if s.N > 1 && (s.Min != s.Median || s.Max != s.Median) {
		text += fmt.Sprintf(" (%s-%s)", short(s.Min), short(s.Max))
	}
	return text
}

// short has three digits, or all those before the point.
func short(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func (r RatioRow) String() string {
	return fmt.Sprintf("%s: %s / %s = %s", orDash(r.Machine), r.Of.in(r.Part), r.By.in(r.Part), r.Stat)
}

// in names a way for people.
func (w Way) in(p *Part) string {
	if p.Size == "" {
		return w.What
	}
	return fmt.Sprintf("%s, %s %d", w.What, p.Size, w.Size)
}

func (h Host) String() string {
	var qemus []string
	for _, v := range h.QEMU {
		qemus = append(qemus, v)
	}
	slices.Sort(qemus)
	return fmt.Sprintf("%d cores (%s), %.1f GiB, Linux %s, QEMU %s; %s at the start, %s at the end", h.Cores, orDash(h.CPU), float64(h.MemMiB)/1024,
		orDash(h.Kernel), orDash(strings.Join(slices.Compact(qemus), ", ")), h.Start, h.End)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
