// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"strings"

	"plugstorm/harness/frame"
)

// Panic reads panics that nothing announced.
var Panic = register(&Detector{
	Name: "panic",
	Doc: "A panic (kernel/panic.c). One that follows a complaint of the same source belongs to that complaint. " +
		"Identity: the panic's text without numbers, and the function that panicked.",
	Anchors: []string{"Kernel panic - not syncing"},
	Begins:  panicRE.MatchString,
	Sequel:  func(*Report, string) bool { return true },
	Read:    readPanic,
})

// InitDied is the title of the panic that follows the death of PID 1, which in
// our guests is the agent.
const InitDied = "kernel panic: Attempted to kill init!"

var (
	panicRE     = regexp.MustCompile(`Kernel panic - not syncing: ?(.*)`)
	protectorRE = regexp.MustCompile(`Kernel stack is corrupted in: (?:(?:\[<)?[0-9a-f]{8,16}(?:>\])?$|` + frame.Name + `(?:\+0x|$))`)
	devErrorRE  = regexp.MustCompile(` for \S+ --- error -\d+.*`)
)

// consequences are panics that end what was complained about before. Without
// that, the beginning of the report is lost.
var consequences = []string{"Fatal exception", "panic_on_warn set", "hung_task: blocked tasks", "softlockup: hung tasks", "Fatal hardware error",
	"kernel: panic_on_warn", "KASAN: panic_on_warn", "UBSAN: panic_on_warn", "Machine halted", "Hard LOCKUP", "RCU Stall"}

func isConsequence(message string) bool {
	if strings.HasPrefix(message, "---[ end ") {
		return true
	}
	m := panicRE.FindStringSubmatch(message)
	return m != nil && hasAnyPrefix(m[1], consequences)
}

func readPanic(r *Report, f *Finding) {
	text := panicRE.FindStringSubmatch(r.Head())[1]
	f.Type, f.Fatal, f.Blinds = TypeDoS, true, true
	f.Stack = r.traceStack(0)
	f.Corrupted = !r.traced()
	switch {
	case isConsequence(r.Head()):
		f.Corrupted = true
		for _, c := range consequences {
			if strings.HasPrefix(text, c) {
				text = c
			}
		}
	case strings.HasPrefix(text, "stack-protector:"):
		readStackProtector(f, text)
		return
	case strings.HasPrefix(text, "corrupted stack end"):
		f.Corrupted = false
		r.stalledIn(f, "kernel panic: corrupted stack end", f.Stack, "schedule", "retint_kernel")
		f.stackOverflow()
		return
	case strings.HasPrefix(text, "Attempted to kill init!"):
		text = strings.TrimPrefix(InitDied, "kernel panic: ")
	}
	text = scrub(devErrorRE.ReplaceAllString(text, ""))
	f.Title = "kernel panic: " + strings.TrimRight(strings.TrimSuffix(text, "]---"), ". ")
}

// stackOverflow turns the alternatives of a stall, which such a report is
// titled like, into its own.
func (f *Finding) stackOverflow() {
	for i := range f.Alt {
		f.Alt[i] = strings.Replace(f.Alt[i], "stall in ", "stack-overflow in ", 1)
	}
}

func readStackProtector(f *Finding, text string) {
	m := protectorRE.FindStringSubmatch(text)
	if m != nil && m[1] != "" {
		f.Title, f.Corrupted = "kernel panic: stack is corrupted in "+frame.Bare(m[1]), false
		return
	}
	f.in("kernel panic: stack is corrupted", f.Stack, "stack_chk")
}
