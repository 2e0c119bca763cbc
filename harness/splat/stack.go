// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"strings"

	"plugstorm/harness/frame"
)

// events reads all lines once and returns what matters for stacks.
func (r *Report) events() []event {
	if r.evs == nil {
		r.evs = []event{}
		for i := range r.lines {
			if e, ok := classify(r.lines[i].Message); ok {
				e.line = i
				r.addCaller(e)
				r.evs = append(r.evs, e)
			}
		}
		r.addCaller(event{})
	}
	return r.evs
}

// addCaller adds the caller that the last frame named, where the next event
// isn't that caller's own frame. Only arm names callers.
func (r *Report) addCaller(next event) {
	if len(r.evs) == 0 {
		return
	}
	last := r.evs[len(r.evs)-1]
	if last.from != "" && frame.Bare(last.from) != frame.Bare(next.fn) {
		r.evs = append(r.evs, event{kind: framed, fn: last.from, line: last.line})
	}
}

// A stack is one stack of a report.
type stack struct {
	at     string   // the function of the register dump before or in it, or ""
	frames []string // reliable frames, innermost first, at not included
	x86    bool     // at comes from a register of x86, or from none
}

// all returns the stack with its register's function in front.
func (s stack) all() []string {
	if s.at == "" || len(s.frames) > 0 && s.frames[0] == s.at {
		return s.frames
	}
	return append([]string{s.at}, s.frames...)
}

// faultStack returns the stack of a fault: where the CPU was, and the frames
// of the stack that follows.
func (r *Report) faultStack() stack {
	s := stack{x86: true}
	named, traced := false, false
	for _, e := range r.events() {
		switch e.kind {
		case located:
			if len(s.frames) > 0 && named {
				return s
			}
			if !named {
				named = true
				s.at, s.x86 = e.fn, e.register.X86() || e.fn == ""
				s.frames = nil // what came before was the way into the trap
			}
		case interrupt:
			if !named && e.fn != "" {
				named = true
				s.at, s.frames = e.fn, nil
			}
		case trace:
			if traced && len(s.frames) > 0 {
				return s
			}
			traced = true
		case framed:
			if injected(e.fn) && r.lines[0].Caller == "" {
				return stack{}
			}
			s.frames = append(s.frames, e.fn)
		}
	}
	return s
}

// injected reports whether the frame is of the fault injection code: its
// stacks are printed in great numbers, and mixed into others.
func injected(fn string) bool { return strings.HasPrefix(strings.TrimLeft(fn, "_"), "should_fail") }

// hollow reports whether a stack is announced and none follows.
func (r *Report) hollow() bool {
	empty := false
	for _, e := range r.events() {
		switch e.kind {
		case trace:
			if empty {
				return true
			}
			empty = stackMarkRE.MatchString(r.lines[e.line].Message)
		case framed, doubtful, interrupt:
			empty = false
		}
	}
	return empty
}

// stackMarkRE matches the lines that a stack must follow.
var stackMarkRE = regexp.MustCompile(`Call [Tt]race:|(?:Allocated|Freed) by task \d+:|(?:Allocated|Freed):$`)

// traceStack returns the frames of the first stack trace behind line from.
func (r *Report) traceStack(from int) []string {
	var frames []string
	traced := false
	for _, e := range r.events() {
		if e.line < from {
			continue
		}
		switch e.kind {
		case trace:
			if len(frames) > 0 {
				return frames
			}
			traced = true
		case framed:
			if injected(e.fn) && r.lines[0].Caller == "" {
				return nil
			}
			if traced {
				frames = append(frames, e.fn)
			}
		}
	}
	return frames
}

// InOrder reports whether all of want occur in a stack in this order. Others may
// stand between them.
func InOrder(want, stack []string) bool {
	for _, fn := range stack {
		if len(want) > 0 && want[0] == fn {
			want = want[1:]
		}
	}
	return len(want) == 0
}
