// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"plugstorm/harness/verdict"
	"plugstorm/harness/vm"
)

// slots says which runs a machine had going at once, and what each showed.
func (t *text) slots(m Machine) {
	var each []string
	for _, s := range m.Slots {
		seed := ""
		if s.Dir != "" {
			seed = fmt.Sprintf(" (seed %d)", s.Case.Seed)
		}
		each = append(each, fmt.Sprintf("%d %s%s", s.Number, s.Verdict.Status, seed))
	}
	if len(each) > 0 {
		t.prose("slots   ", strings.Join(each, ", "))
	}
}

// replaySlots names the commands that repeat those slots that had a finding
// first.
func (t *text) replaySlots(m Machine) {
	for _, s := range m.Slots {
		first := func(f verdict.Finding) bool { return f.Slot == s.Number }
		if s.Dir != "" && slices.ContainsFunc(m.Verdict.Findings, first) {
			t.f("replay %s, slot %d alone: %s\n", m.Case.Machine, s.Number, vm.Shell(s.Replay...))
		}
	}
}

// host says what the guests took of the host, and had to wait for.
func (t *text) host(v *verdict.Verdict) {
	var private int64
	var waited time.Duration
	var reasons []string
	for _, g := range v.Guests {
		private, waited = max(private, g.Private), waited+g.Waited
		if g.WaitedFor != "" && !slices.Contains(reasons, g.WaitedFor) {
			reasons = append(reasons, g.WaitedFor)
		}
	}
	if private > 0 {
		t.f("memory  of a guest's QEMU, not shared with others: up to %d MiB\n", private>>20)
	}
	if waited >= time.Second {
		t.prose("waited  ", fmt.Sprintf("guests were held back for %s in all, at last because %s", waited.Round(time.Second), strings.Join(reasons, "; ")))
	}
}

// inSlots names the slots that something came in, if there are any.
func inSlots(all []int) string {
	if len(all) == 0 {
		return ""
	}
	words := make([]string, len(all))
	for i, n := range all {
		words[i] = fmt.Sprint(n)
	}
	if len(words) == 1 {
		return " in slot " + words[0]
	}
	return " in slots " + strings.Join(words, ", ")
}

func ofSlot(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" of slot %d", n)
}
