// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"mime"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"plugstorm/harness/console"
	"plugstorm/harness/lockdep"
	"plugstorm/harness/splat"
	"plugstorm/harness/triage"
)

// mailWidth is how wide a mail's own sentences are. Lines of the log stay whole.
const mailWidth = 75

// Mails writes a report about each complaint of a log as a mail to send to a
// mailing list, in a mailbox of the kind that git format-patch writes: mutt -f
// and git send-email take it. Who gets it is left to the sender. reproduce is
// a command that repeats the run, or "".
func Mails(w io.Writer, l *triage.Log, reproduce string) error {
	for _, g := range group(l.Findings) {
		m := &mail{}
		m.finding(g, reproduce)
		if _, err := io.WriteString(w, m.b.String()); err != nil {
			return err
		}
	}
	return nil
}

// maxSubject bounds a subject, in bytes: RFC 5322 has lines of 998 at most.
const maxSubject = 400

// separator begins each mail; its date is the one that git uses to say that it
// means nothing.
const separator = "From plugstorm Mon Sep 17 00:00:00 2001\n"

type mail struct{ b strings.Builder }

// line writes one line. One that a mailbox would take for a separator gets the
// usual mark.
func (m *mail) line(s string) {
	s = strings.TrimRight(console.Escape(s), " \t")
	if strings.HasPrefix(strings.TrimLeft(s, ">"), "From ") {
		s = ">" + s
	}
	m.b.WriteString(s + "\n")
}

// prose writes a paragraph behind a label, wrapped.
func (m *mail) prose(label, sentence string) {
	line, indent := label, strings.Repeat(" ", utf8.RuneCountInString(label))
	for i, word := range strings.Fields(console.Escape(sentence)) {
		switch {
		case i == 0:
			line += word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > mailWidth:
			m.line(line)
			line = indent + word
		default:
			line += " " + word
		}
	}
	m.line(line)
}

func (m *mail) finding(g sighted, reproduce string) {
	f := g[0]
	m.header(f)
	m.prose("", opening(f))
	if why := explanation(&f.Finding); why != "" {
		m.line("")
		m.prose("", why)
	}
	m.line("")
	m.fact("Kernel", f.Kernel)
	m.fact("Machine", f.Hardware)
	m.fact("Task", f.Task)
	if len(g) > 1 {
		m.fact("Seen", fmt.Sprintf("%d times in this log", len(g)))
	}
	m.fact("Identity", f.Identity)
	if f.Corrupted {
		m.fact("Note", "the report is cut off, or mixed with other output")
	}
	if reproduce != "" {
		m.line("")
		m.line("To reproduce:")
		m.line("")
		m.line("    " + reproduce)
	}
	if !drawnByKernel(f.Lines) {
		m.block("", drawn(f.Locks))
	}
	m.excerpts(g)
	m.waits(g)
	for _, note := range f.Unlocated {
		m.line("")
		m.prose("", note)
	}
	m.line("")
}

func (m *mail) header(f *triage.Finding) {
	m.b.WriteString(separator)
	subject := "[plugstorm] "
	if area := triage.Area(f); area != "" {
		subject += area + ": "
	}
	subject = strings.ReplaceAll(console.Escape(subject+f.Title), "\t", " ")
	if len(subject) > maxSubject {
		subject = strings.ToValidUTF8(subject[:maxSubject], "") + "..."
	}
	m.b.WriteString("Subject: " + mime.QEncoding.Encode("utf-8", subject) + "\n")
	m.b.WriteString("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n")
}

// fact writes a line of the table of facts, if there is something to say.
func (m *mail) fact(label, value string) {
	if value != "" {
		m.prose(fmt.Sprintf("%-10s", label+":"), value)
	}
}

// opening says what happened, in a sentence.
func opening(f *triage.Finding) string {
	what := fmt.Sprintf("the kernel says: %q", f.Title)
	if f.Locks != nil && f.Locks.Kind == lockdep.Circular {
		what = "the lock validator reports a circular dependency of locks"
	}
	if release := f.Release(); release != "" {
		return fmt.Sprintf("On %s %s.", release, what)
	}
	return strings.ToUpper(what[:1]) + what[1:] + "."
}

// block writes lines as they are, with a sentence before them.
func (m *mail) block(sentence string, lines []string) {
	if len(lines) == 0 {
		return
	}
	m.line("")
	if sentence != "" {
		m.line(sentence)
		m.line("")
	}
	for _, line := range lines {
		m.line(line)
	}
}

// drawnByKernel reports whether the report holds lockdep's own drawing.
func drawnByKernel(lines []string) bool {
	for _, line := range lines {
		if strings.Contains(line, "*** DEADLOCK ***") {
			return true
		}
	}
	return false
}

// maxExcerpts is how many sightings a mail shows, each of another task: a
// deadlock has a report for each task in it.
const maxExcerpts = 8

func (m *mail) excerpts(g sighted) {
	const sentence = "The report, without time stamps, registers and doubtful frames:"
	shown := map[string]bool{}
	for _, f := range g {
		if shown[f.Task] || len(shown) == maxExcerpts {
			continue
		}
		shown[f.Task] = true
		if len(shown) == 1 {
			m.block(sentence, trimmed(f))
		} else {
			m.block("", trimmed(f))
		}
	}
}

// waits tells of the tasks of a hang that no report is about: the kernel has
// shown them elsewhere, as SysRq-w does.
func (m *mail) waits(g sighted) {
	if g[0].Waits == nil {
		return
	}
	var lines []string
	for _, w := range g[0].Waits.Waits {
		if slices.ContainsFunc(g, func(f *triage.Finding) bool { return f.Task == w.Task }) {
			continue
		}
		if len(lines) > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, fmt.Sprintf("%s, for %s:", w.Task, object(w.Object)))
		for _, fn := range w.Stack {
			lines = append(lines, " "+fn)
		}
	}
	m.block("Who else waits:", lines)
}

// leftOut matches what a maintainer doesn't read in a report: registers, code
// bytes, modules, the frames that the unwinder isn't sure about. Where the CPU
// was (RIP, NIP, pc) stays.
var leftOut = regexp.MustCompile(`^\s*(?:` +
	`Modules linked in:|Code: |Instruction dump:|(?:[0-9a-f]{8} ){7}|` +
	`(?:RSP|RAX|RDX|RBP|R\d\d|FS|CS|CR\d|DR\d|PKRU|EFLAGS|EAX|EBX|ESI|EDI|DS|ES): ` + // arch/x86/kernel/process_64.c __show_regs
	`|(?:NIP|REGS|MSR|CFAR|GPR\d\d|CTR|XER|SRR\d|DAR|DSISR): ` + // arch/powerpc/kernel/process.c __show_regs
	`|(?:sp|x\d+|pstate|lr|ra|gp|tp|t\d|s\d+|a\d) ?: ` + // arch/arm64 and arch/riscv, __show_regs
	`|\? |\[<[0-9a-f]+>\] \? ` +
	`)|\(unreliable\)$`)

// powerpc's frames begin with the stack pointer and the address, both of this
// boot only.
var addresses = regexp.MustCompile(`^\[[0-9a-f]{16}\] \[[0-9a-f]{16}\] `)

// interrupts matches what the kernel adds about interrupts (print_irqtrace_events).
// It matters where the state of interrupts is what is wrong.
var interrupts = regexp.MustCompile(`^(?:irq event stamp|(?:hard|soft)irqs last )`)

// trimmed cuts a report down to what is read.
func trimmed(f *triage.Finding) []string {
	calm := f.Type != splat.TypeLockdep && f.Type != splat.TypeAtomic
	var kept []string
	for _, line := range f.Lines {
		if leftOut.MatchString(line) || calm && interrupts.MatchString(line) {
			continue
		}
		line = addresses.ReplaceAllString(line, " ")
		if strings.TrimSpace(line) == "" && (len(kept) == 0 || kept[len(kept)-1] == "") {
			continue
		}
		kept = append(kept, strings.TrimRight(line, " "))
	}
	for len(kept) > 0 && kept[len(kept)-1] == "" {
		kept = kept[:len(kept)-1]
	}
	return kept
}
