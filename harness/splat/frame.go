// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"strings"

	"plugstorm/harness/frame"
)

// An event is a line of a report that matters for its stacks.
type event struct {
	kind eventKind
	fn   string // function without offset, "" where the line has none (a user-space RIP)
	from string // arm: the function's caller, which the line names too
	line int    // index into Report.lines

	register frame.Register // of a located one: what names the function
}

type eventKind int

const (
	trace     eventKind = iota // a new stack begins
	located                    // RIP, NIP, PC: where the CPU was
	framed                     // one frame of a stack
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

// classify reads one message as an event. It reports false for other text.
func classify(message string) (event, bool) {
	if !strings.Contains(message, "+0x") && containsAny(message, traceMarks) && !strings.HasSuffix(message, "stack backtrace:") {
		return event{kind: trace}, true
	}
	if at, ok := frame.At(message); ok {
		if at.Register == frame.Exception {
			return event{kind: interrupt, fn: at.Func}, true
		}
		return event{kind: located, fn: at.Func, register: at.Register}, true
	}
	f, ok := frame.Parse(message)
	if f.Doubtful {
		return event{kind: doubtful, fn: f.Func}, ok
	}
	return event{kind: framed, fn: f.Func, from: f.Caller}, ok
}
