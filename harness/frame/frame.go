// SPDX-License-Identifier: Apache-2.0

// Package frame reads what the kernel prints of functions: the frames of a
// stack, and where a CPU was, on every architecture. It is pure and knows
// neither consoles nor complaints. The lines that it takes are without prefix
// (time stamp, caller id); they come from an untrusted guest.
package frame

import (
	"regexp"
	"strings"
)

// A Frame is one line of a stack.
type Frame struct {
	Func     string // with what the compiler appends: see Bare
	Caller   string // arm: the function that called it, which the line names too; else ""
	Module   string // "" for the kernel's own code, and where the line doesn't say
	Doubtful bool   // the unwinder isn't sure of it: it may be a stale word on the stack
}

// Name matches a function's name, Rust's included, as a group of a regular
// expression. It is lazy: what must follow the name ends it.
const Name = `([A-Za-z_<][\w.$:<>*&, ]*?)`

// place matches what %pS prints behind a name (lib/vsprintf.c, symbol_string).
const place = `\+0x[0-9a-f]+/0x[0-9a-f]+`

var (
	// arch/arm/kernel/traps.c dump_backtrace_entry: "f from g+0x1/0x2", and before
	// 5.19 "[<c0101b0c>] (f) from [<c0104a54>] (g+0x1/0x2)".
	armRE = regexp.MustCompile(`^\s*(?:\[<[0-9a-f]+>\] )?\(?([A-Za-z_][\w.$]*)(?:` + place + `)?\)? from (?:\[<[0-9a-f]+>\] )?\(?([A-Za-z_][\w.$]*)` + place)
	// What syzkaller's symbolizer, and the kernel's own decoder with it, add: a
	// function that was inlined into the one of the next line.
	inlineRE = regexp.MustCompile(`^\s*(?:\[<\s+inline\s+>\]\s*)?` + Name + ` \S+\.[chS]:\d+(?: \[inline\])?$`)
)

// Parse reads one frame. It knows these forms, each with or without the
// brackets' parts, and with " [module]" or " [module buildid]" behind it:
//
//	f+0x1/0x2                             x86, arm64
//	? f+0x1/0x2                           x86, doubtful
//	<IRQ>  [<ffffffff81234567>] f+0x1/0x2 x86 before 4.10; others without <IRQ>
//	([<000000000012cafe>] f+0x1/0x2)      s390
//	[c000..] [c000..] f+0x1/0x2 (unreliable)  powerpc
//	f from g+0x1/0x2                      arm
//	f mm/slub.c:123 [inline]              of a log that was symbolized
func Parse(line string) (Frame, bool) {
	offset := strings.Contains(line, "+0x")
	if offset && strings.Contains(line, " from ") {
		if m := armRE.FindStringSubmatch(line); m != nil {
			return Frame{Func: m[1], Caller: m[2]}, true
		}
	}
	if offset {
		if f, ok := parse(line); ok {
			return f, true
		}
	}
	if strings.Contains(line, "inline") {
		if m := inlineRE.FindStringSubmatch(line); m != nil {
			return Frame{Func: m[1]}, true
		}
	}
	return Frame{}, false
}

// parse reads a frame that isn't arm's: it passes over what stands before the
// function's name.
func parse(s string) (Frame, bool) {
	var f Frame
	for {
		s = strings.TrimLeft(s, " \t")
		switch {
		case strings.HasPrefix(s, "(["):
			s = s[1:]
		case strings.HasPrefix(s, "[") && closing(s, ']') > 0:
			s = s[closing(s, ']')+1:]
		case strings.HasPrefix(s, "<") && closing(s, '>') > 0 && !strings.Contains(s[:min(len(s), closing(s, '>')+3)], "::"):
			s = s[closing(s, '>')+1:] // "<IRQ>", but not Rust's "<T as a::B>::f" or "<a::B<T>>::f"
		case strings.HasPrefix(s, "? "):
			s, f.Doubtful = s[2:], true
		default:
			return f.named(s)
		}
	}
}

// closing returns the index of the bracket that closes s's first byte, if
// what it encloses is short and has no blank but at its ends; or 0.
func closing(s string, bracket byte) int {
	const longest = 32 // "[<     inline     >]", "[<ffffffff81234567>]"
	i := strings.IndexByte(s[:min(len(s), longest+1)], bracket)
	if i < 0 || strings.Contains(strings.Trim(s[1:i], " <>"), " ") {
		return 0
	}
	return i
}

// named finishes a frame from "f+0x1/0x2 [module]...". A line that was cut
// behind "/0x" will do.
func (f Frame) named(s string) (Frame, bool) {
	plus := strings.Index(s, "+0x")
	if plus <= 0 || !IsName(s[:plus]) {
		return Frame{}, false
	}
	rest := s[plus+3:]
	n := HexDigits(rest)
	if n == 0 || !strings.HasPrefix(rest[n:], "/0x") {
		return Frame{}, false
	}
	rest = rest[n+3:]
	f.Func, f.Module = s[:plus], moduleOf(rest[HexDigits(rest):])
	f.Doubtful = f.Doubtful || strings.HasSuffix(rest, "(unreliable)")
	return f, true
}

// moduleOf reads " [module]" or " [module buildid]" (CONFIG_STACKTRACE_BUILD_ID).
func moduleOf(s string) string {
	s, ok := strings.CutPrefix(s, " [")
	name, _, closed := strings.Cut(s, "]")
	if !ok || !closed {
		return ""
	}
	name, _, _ = strings.Cut(name, " ")
	return name
}
