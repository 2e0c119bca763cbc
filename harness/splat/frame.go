// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"strings"
)

// An event is a line of a report that matters for its stacks.
type event struct {
	kind eventKind
	fn   string // function without offset, "" where the line has none (a user-space RIP)
	from string // arm: the function's caller, which the line names too
	line int    // index into Report.lines

	register string // of a located one: which of registers names the function
}

type eventKind int

const (
	trace     eventKind = iota // a new stack begins
	located                    // RIP, NIP, PC: where the CPU was
	frame                      // one frame of a stack
	doubtful                   // a frame that the unwinder isn't sure about
	interrupt                  // the stack goes on beneath an interrupt
)

// traceMarks begin a stack.
var traceMarks = []string{
	"Call Trace:", "Call trace:", "backtrace:", "backtrace (crc", "Backtrace:", "Allocated by task", "Freed by task",
	"Allocated:", "Freed:", "Last potentially related work creation:", "Second to last potentially related work creation:",
	"Uninit was stored to memory at:", "Uninit was created at:", "Local variable", "page last allocated", "page last free",
	"allocated by task", "freed by task", "Free Stack:", "Allocation Stack:", "Last call_rcu():",
	"Last Breaking-Event-Address:", // s390: a branch, not a frame
}

// registers begin the lines of a register dump that tell where the CPU was.
var registers = []string{"RIP:", "EIP:", "IP:", "NIP ", "NIP:", "PC is at", "pc :", "epc ", "ERA:", "Krnl PSW"}

// nowhere begins the same line where the CPU was somewhere without a name: in
// user space, or at address 0.
var nowhere = []string{"RIP: ", "EIP: ", "IP: ", "NIP "}

var (
	// x86 "RIP: 0010:f+0x1/0x2", "RIP: 0010:[<..>]  [<..>] f+0x..", "IP: f+..",
	// "EIP: [<..>] f+..", powerpc "NIP [c0..] f+..", arm "PC is at f+..",
	// arm64 "pc : f+..", riscv "epc : f+..", mips "epc   : addr f+..",
	// loongarch "ERA: addr f+..", s390 "Krnl PSW : mask addr (f+..)".
	registerRE = regexp.MustCompile(`^(?:[RE]?IP:?|NIP|PC is at|e?pc +:|ERA:|Krnl PSW :)\s*(?:[0-9a-f]{2,4}:)?(?:\[<?(?:0x)?[0-9a-f]+>?\]\s*){0,2}(?:(?:0x)?[0-9a-f]+\s+){0,2}\(?` + symbol + `\+0x[0-9a-f]+/`)
	// powerpc: "--- interrupt: 700 at f+0x1/0x2"; newer ones name no function.
	interruptRE = regexp.MustCompile(`^--- (?:interrupt|Exception): \w+(?: at ` + symbol + `\+0x)?`)
	armFrameRE  = regexp.MustCompile(`^\s*(?:\[<[0-9a-f]+>\] )?\(?([A-Za-z_][\w.]*)(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?\)? from (?:\[<[0-9a-f]+>\] )?\(?([A-Za-z_][\w.]*)`)
	inlineRE    = regexp.MustCompile(`^\s*(?:\[<\s+inline\s+>\]\s*)?` + symbol + ` \S+\.[chS]:\d+(?: \[inline\])?$`)
)

// symbol matches a function name, Rust's included.
const symbol = `([A-Za-z_<][\w.$:<>*&, ]*?)`

// x86 reports whether the event is located by a register of x86.
func (e event) x86() bool { return strings.HasSuffix(e.register, "IP:") }

// classify reads one message as an event. It reports false for other text.
func classify(message string) (event, bool) {
	switch {
	case strings.Contains(message, "+0x"):
		at := strings.TrimLeft(message, " \t")
		if register := prefixOf(at, registers); register != "" {
			if m := registerRE.FindStringSubmatch(at); m != nil {
				return event{kind: located, fn: m[1], register: register}, true
			}
		}
		if strings.HasPrefix(message, "--- ") {
			if m := interruptRE.FindStringSubmatch(message); m != nil {
				return event{kind: interrupt, fn: m[1]}, true
			}
		}
		return parseFrame(message)
	case containsAny(message, traceMarks) && !strings.HasSuffix(message, "stack backtrace:"):
		return event{kind: trace}, true
	case hasAnyPrefix(strings.TrimLeft(message, " \t"), nowhere):
		return event{kind: located}, true
	case strings.HasPrefix(message, "--- interrupt:"):
		return event{kind: interrupt}, true
	}
	if strings.Contains(message, " from ") {
		if m := armFrameRE.FindStringSubmatch(message); m != nil {
			return event{kind: frame, fn: m[1], from: m[2]}, true
		}
	}
	if strings.HasSuffix(message, "[inline]") || strings.Contains(message, "inline") {
		if m := inlineRE.FindStringSubmatch(message); m != nil {
			return event{kind: frame, fn: m[1]}, true
		}
	}
	return event{}, false
}

// parseFrame reads one stack frame: "  f+0x1/0x2 [module]", with any of the
// decorations of x86 ("? ", "[<addr>]", "<IRQ>") and powerpc ("[sp] [addr]
// f+0x1/0x2 (unreliable)").
func parseFrame(message string) (event, bool) {
	if strings.Contains(message, " from ") {
		if m := armFrameRE.FindStringSubmatch(message); m != nil {
			return event{kind: frame, fn: m[1], from: m[2]}, true
		}
	}
	s := strings.TrimLeft(message, " \t")
	e := event{kind: frame}
	for {
		switch {
		case strings.HasPrefix(s, "[") && closing(s, ']') > 0:
			s = s[closing(s, ']')+1:]
		case strings.HasPrefix(s, "(["):
			s = s[1:]
			continue
		case strings.HasPrefix(s, "<") && closing(s, '>') > 0 && !strings.HasPrefix(s[closing(s, '>')+1:], "::"):
			s = s[closing(s, '>')+1:]
		case strings.HasPrefix(s, "? "):
			s, e.kind = s[2:], doubtful
		default:
			return e.named(s)
		}
		s = strings.TrimLeft(s, " \t")
	}
}

// closing returns the index of the bracket that closes s's first byte, if
// what it encloses is short and has no blank but at its ends; or 0.
func closing(s string, bracket byte) int {
	i := strings.IndexByte(s, bracket)
	if i < 0 || i > 32 || strings.ContainsAny(strings.Trim(s[1:i], " <>"), " ") {
		return 0
	}
	return i
}

// named finishes a frame from "f+0x1/0x2...".
func (e event) named(s string) (event, bool) {
	plus := strings.Index(s, "+0x")
	if plus <= 0 || !isSymbol(s[:plus]) {
		return event{}, false
	}
	rest := s[plus+3:]
	n := 0
	for n < len(rest) && isHex(rest[n]) {
		n++
	}
	if n == 0 || !strings.HasPrefix(rest[n:], "/0x") {
		return event{}, false
	}
	e.fn = s[:plus]
	if strings.HasSuffix(s, "(unreliable)") {
		e.kind = doubtful
	}
	return e, true
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

// isSymbol reports whether s can be a function's name.
func isSymbol(s string) bool {
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	rust := strings.Contains(s, "::")
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.', c == '$':
		case rust && strings.IndexByte("<>:*&, ", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// bare removes what the compiler appends to a function's name (".isra.0",
// ".constprop.0", ".part.3", ".cold", ".llvm.123").
func bare(fn string) string {
	if i := strings.IndexByte(fn, '.'); i > 0 && !strings.Contains(fn, "::") {
		return fn[:i]
	}
	return fn
}
