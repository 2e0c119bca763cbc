// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"plugstorm/harness/console"
	"plugstorm/harness/op"
	"plugstorm/harness/splat"
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

// width is how wide the text is where it can be helped: commands, identities
// and steps stay in one piece, to be copied.
const width = 100

// text writes and keeps the first error.
type text struct {
	w   io.Writer
	err error
}

// f writes formatted text. Every string among args is escaped: a guest, a
// record or a file's name may hold anything.
func (t *text) f(format string, args ...any) {
	for i, arg := range args {
		if s, ok := arg.(string); ok {
			args[i] = console.Escape(s)
		}
	}
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format, args...)
	}
}

// list writes words, broken into lines where they would get too wide.
func (t *text) list(label string, words []string) {
	line, indent := label, strings.Repeat(" ", utf8.RuneCountInString(label))
	for i, word := range words {
		word = console.Escape(word)
		if i > 0 && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			t.f("%s\n", line)
			line = indent
		} else if i > 0 {
			line += " "
		}
		line += word
	}
	t.f("%s\n", line)
}

// prose is list for a sentence.
func (t *text) prose(label, sentence string) { t.list(label, strings.Fields(sentence)) }

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
	t.f("\n== %s: %s\n", m.Case.Machine, string(v.Status))
	if warning := reachWarning(v.Reach); warning != "" {
		t.prose("! ", warning)
	}
	t.f("kernel  %s (%s), QEMU %s, %s\n", m.Case.Kernel.Name, m.Case.Kernel.Release, m.Case.QEMU, m.Case.Accel)
	t.slots(m)
	t.guests(v)
	for _, omitted := range m.Case.Kernel.Omitted {
		t.prose("left out: ", omitted)
	}
	t.ops(v)
	t.workloads(v)
	t.overlap(v.Overlap)
	t.reach(v.Reach)
	t.rules(v)
	t.calls(v.Calls)
	t.waits(v)
	for _, why := range v.Why {
		t.prose("! ", why)
	}
	said := map[string]bool{"": true}
	for _, fault := range v.Faults {
		if !said[fault.Next] {
			t.f("  next: %s\n", fault.Next)
		}
		said[fault.Next] = true
	}
	for i, f := range v.Findings {
		t.finding(i+1, f)
	}
	if len(v.Findings) > 0 {
		t.f("\nreplay %s: %s\n", m.Case.Machine, vm.Shell(m.Replay...))
		t.replaySlots(m)
	}
}

func (t *text) guests(v *verdict.Verdict) {
	var life, blind time.Duration
	booted, restored := 0, 0
	for _, g := range v.Guests {
		life, blind = life+g.Life, blind+g.Blind
		switch {
		case g.Boot > 0 && g.Restored:
			restored++
		case g.Boot > 0:
			booted++
		}
	}
	up := fmt.Sprintf("%d booted", booted)
	if restored > 0 {
		up = fmt.Sprintf("%d restored and %d booted", restored, booted)
	}
	t.f("guests  %s of %d, alive for %s in all, blind (lockdep off) for %s\n",
		up, len(v.Guests), life.Round(time.Second), blind.Round(time.Second))
	t.snapshots(v)
	t.host(v)
	if len(v.PerMinute) > 0 {
		t.list("pace    steps in each minute: ", strings.Fields(strings.Trim(fmt.Sprint(v.PerMinute), "[]")))
	}
	t.trend(v.Trend)
}

// snapshots tells what became of snapshots, each thing once.
func (t *text) snapshots(v *verdict.Verdict) {
	said := map[string]bool{}
	for _, g := range v.Guests {
		for _, note := range g.Snapshot {
			if !said[note] {
				t.prose("snapshot ", note)
			}
			said[note] = true
		}
	}
}

// ops writes the table of ops by kind and outcome.
func (t *text) ops(v *verdict.Verdict) {
	if len(v.Ops) == 0 {
		return
	}
	var rows bytes.Buffer // can't fail
	table := tabwriter.NewWriter(&rows, 0, 0, 2, ' ', tabwriter.AlignRight)
	header := []string{"op"}
	for _, o := range op.Outcomes {
		header = append(header, string(o))
	}
	fmt.Fprintln(table, strings.Join(append(header, "median", "max"), "\t")+"\t")
	for _, kind := range slices.Sorted(maps.Keys(v.Ops)) {
		c := v.Ops[kind]
		row := []string{console.Escape(kind)}
		for _, o := range op.Outcomes {
			row = append(row, fmt.Sprint(c.Outcomes[o]))
		}
		row = append(row, short(c.Median), short(c.Max))
		fmt.Fprintln(table, strings.Join(row, "\t")+"\t")
	}
	_ = table.Flush()
	for row := range strings.Lines(rows.String()) {
		t.f("%s\n", strings.TrimSuffix(row, "\n"))
	}
}

func (t *text) workloads(v *verdict.Verdict) {
	var did, refused []string
	for _, name := range slices.Sorted(maps.Keys(v.Workloads)) {
		did = append(did, fmt.Sprintf("%s %d", name, v.Workloads[name]))
		if n := v.Refused[name]; v.Workloads[name] == 0 && n > 0 {
			refused = append(refused, fmt.Sprintf("%s (%d)", name, n))
		}
	}
	if len(did) > 0 {
		t.prose("workload rounds: ", strings.Join(did, ", "))
	}
	if len(refused) > 0 {
		t.prose("refused every round: ", strings.Join(refused, ", "))
	}
}

func short(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(time.Millisecond).String()
}

func (t *text) finding(n int, f verdict.Finding) {
	t.f("\n[%d] %s\n", n, f.Title)
	if f.Known != "" {
		t.f("    known issue %s:\n", f.Known)
		t.prose("        ", f.Reason)
	}
	const tenth = 100 * time.Millisecond
	t.prose("    ", fmt.Sprintf("%s, seen %d×%s, first in guest %d%s %s after QEMU's start (%s after the agent's)",
		cmp.Or(f.Type, "complaint"), f.Sightings, inSlots(f.Slots), f.Guest, ofSlot(f.Slot), f.At.Round(tenth), f.AtAgent.Round(tenth)))
	t.f("    identity: %s\n", f.Identity)
	for _, step := range f.Steps {
		t.f("    during %s\n", step)
	}
	if why := explanation(&f.Finding); why != "" {
		t.prose("    why: ", why)
	}
	switch f.Detector {
	case "harness":
		t.prose("    ", f.Text)
	case "books":
		for line := range strings.Lines(f.Text) {
			t.prose("    ", line)
		}
	}
	frames := splat.Trim(f.Stack)
	for i, frame := range frames {
		if i == stackDepth {
			t.f("        ... %d more\n", len(frames)-i)
			break
		}
		t.f("        %s\n", frame)
	}
}
