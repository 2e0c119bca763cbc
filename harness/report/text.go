// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"plugstorm/harness/console"
	"plugstorm/harness/op"
	"plugstorm/harness/verdict"
	"plugstorm/harness/vm"
)

// Text is the report for people: plain text that fits an e-mail.
var Text = Formats.Register(&Format{
	Name: "text",
	Doc:  "plain text that fits an e-mail",
	Write: func(w io.Writer, r *Run) error {
		t := &text{w: w}
		t.run(r)
		return t.err
	},
})

// stackDepth is how many frames of a stack the text shows.
const stackDepth = 16

// text writes and keeps the first error.
type text struct {
	w   io.Writer
	err error
}

func (t *text) f(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format, args...)
	}
}

func (t *text) run(r *Run) {
	t.f("plugstorm: %s   suite %s, seed %d, %s per machine\n", strings.ToUpper(string(r.Status)), r.Suite, r.Seed, r.Duration)
	for _, m := range r.Machines {
		t.machine(m)
	}
	t.f("\nreplay: %s\n", vm.Shell(r.Replay...))
	t.f("report: %s\n", r.Dir)
}

func (t *text) machine(m Machine) {
	v := m.Verdict
	t.f("\n== %s: %s\n", m.Case.Machine, v.Status)
	t.f("kernel  %s (%s), QEMU %s, %s\n", console.Escape(m.Case.Kernel.Name), console.Escape(m.Case.Kernel.Release), m.Case.QEMU, m.Case.Accel)
	t.guests(v)
	for _, omitted := range m.Case.Kernel.Omitted {
		t.f("left out: %s\n", omitted)
	}
	t.ops(v)
	for _, why := range v.Why {
		t.f("! %s\n", console.Escape(why))
	}
	for _, fault := range v.Faults {
		if fault.Next != "" {
			t.f("  next: %s\n", console.Escape(fault.Next))
		}
	}
	for i, f := range v.Findings {
		t.finding(i+1, f)
	}
	if len(v.Findings) > 0 {
		t.f("\nreplay %s: %s\n", m.Case.Machine, vm.Shell(m.Replay...))
	}
}

func (t *text) guests(v *verdict.Verdict) {
	var life, blind time.Duration
	booted := 0
	for _, g := range v.Guests {
		life, blind = life+g.Life, blind+g.Blind
		if g.Boot > 0 {
			booted++
		}
	}
	t.f("guests  %d booted of %d, alive for %s in all, blind (lockdep off) for %s\n",
		booted, len(v.Guests), life.Round(time.Second), blind.Round(time.Second))
	if len(v.PerMinute) > 0 {
		t.f("pace    steps in each minute: %s\n", strings.Trim(fmt.Sprint(v.PerMinute), "[]"))
	}
}

// ops writes the table of ops by kind and outcome.
func (t *text) ops(v *verdict.Verdict) {
	if len(v.Ops) == 0 {
		return
	}
	table := tabwriter.NewWriter(t.w, 0, 0, 2, ' ', tabwriter.AlignRight)
	header := []string{"op"}
	for _, o := range op.Outcomes {
		header = append(header, string(o))
	}
	fmt.Fprintln(table, strings.Join(append(header, "median", "max"), "\t")+"\t")
	for _, kind := range slices.Sorted(maps.Keys(v.Ops)) {
		c := v.Ops[kind]
		row := []string{kind}
		for _, o := range op.Outcomes {
			row = append(row, fmt.Sprint(c.Outcomes[o]))
		}
		row = append(row, short(c.Median), short(c.Max))
		fmt.Fprintln(table, strings.Join(row, "\t")+"\t")
	}
	if err := table.Flush(); err != nil && t.err == nil {
		t.err = err
	}
	if len(v.Workloads) > 0 {
		var did []string
		for _, name := range slices.Sorted(maps.Keys(v.Workloads)) {
			did = append(did, fmt.Sprintf("%s %d", name, v.Workloads[name]))
		}
		t.f("workload rounds: %s\n", strings.Join(did, ", "))
	}
}

func short(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(time.Millisecond).String()
}

func (t *text) finding(n int, f verdict.Finding) {
	t.f("\n[%d] %s\n", n, console.Escape(f.Title))
	if f.Known != "" {
		t.f("    known issue %s: %s\n", f.Known, f.Reason)
	}
	t.f("    %s, seen %d×, first in guest %d %s after QEMU's start (%s after the agent's)\n",
		orElse(f.Type, "complaint"), f.Sightings, f.Guest, f.At.Round(100*time.Millisecond), f.AtAgent.Round(100*time.Millisecond))
	t.f("    identity: %s\n", console.Escape(f.Identity))
	for _, step := range f.Steps {
		t.f("    during %s\n", step)
	}
	if f.Locks != nil {
		for _, e := range f.Locks.Edges {
			t.f("    lock order %s -> %s\n", console.Escape(e.From), console.Escape(e.To))
		}
	}
	if f.Detector == "harness" {
		t.f("    %s\n", console.Escape(f.Text))
	}
	for i, frame := range f.Stack {
		if i == stackDepth {
			t.f("        ... %d more\n", len(f.Stack)-i)
			break
		}
		t.f("        %s\n", console.Escape(frame))
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
