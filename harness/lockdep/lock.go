// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// A name ends at the last "){" that usage characters follow: names may hold
// blanks, parentheses and braces themselves. The wait types came in 5.7, the
// address in 4.18.
const nameTail = `\)\{([-+.?]{2,8})\}(?:-\{(\d+):(\d+)\})?`

var (
	// "ffff8880 (&x->lock#2/1){+.+.}-{3:3}, at: func+0x1/0x2" and its older and
	// shorter forms: no address, no wait types, "[<ffff>]" before the function.
	lockRE = regexp.MustCompile(`^\s*(?:#\d+:\s*)?(?:([0-9a-f]{8,16})\s+)?\((.+)` + nameTail +
		`(?:,\s*at:\s*(?:\[<[^>]*>\]\s*)?([A-Za-z_][\w.$]*)(?:\+(0x[0-9a-f]+/0x[0-9a-f]+))?)?`)
	// "(A){..} -> (B){..}"
	dependencyRE = regexp.MustCompile(`^\s*\((.+?)` + nameTail + ` -> \((.+)` + nameTail)
	linkRE       = regexp.MustCompile(`^\s*-> #(\d+) \((.+)` + nameTail + `:`)
	classRE      = regexp.MustCompile(`^\s*-> \((.+)` + nameTail + `(?: ops: \d+)? \{`)
	frameRE      = regexp.MustCompile(`^\s*(?:\(?\[?<?[0-9a-f]{8,16}>?\]?\)?\s*){0,2}([A-Za-z_][\w.$]*)\+0x[0-9a-f]+/0x[0-9a-f]+`)
	fromRE       = regexp.MustCompile(`^\s*(?:\[<[0-9a-f]+>\] )?\(?[A-Za-z_][\w.$]*(?:\+\S+)? from (?:\[<[0-9a-f]+>\] )?\(?([A-Za-z_][\w.$]*)`) // arm
	inlinedRE    = regexp.MustCompile(`^\s*(?:\[<\s+inline\s+>\]\s*)?([A-Za-z_][\w.$]*) \S+\.[chS]:\d+(?: \[inline\])?$`)
)

// parseLock reads a line that names a lock, or returns nil.
func parseLock(line string) *Lock {
	m := lockRE.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	l := &Lock{Addr: m[1], Name: clip(m[2]), Class: NormalizeClass(clip(m[2])), Usage: m[3], At: m[6], Offset: m[7]}
	l.Outer, l.Inner = number(m[4]), number(m[5])
	if l.Mode = modeOf(l.At); strings.HasPrefix(l.Class, "rcu_read_lock") {
		l.Mode = Read // other locks take it inside themselves on PREEMPT_RT
	}
	return l
}

// parseFrame reads one line of a stack and returns its function, or "". Frames
// that the unwinder isn't sure of are none.
func parseFrame(line string) string {
	if strings.HasSuffix(line, "(unreliable)") {
		return ""
	}
	if strings.Contains(line, " from ") {
		if m := fromRE.FindStringSubmatch(line); m != nil {
			return m[1] // each frame is its caller's line, too
		}
	}
	if m := frameRE.FindStringSubmatch(line); m != nil {
		return m[1]
	}
	if strings.Contains(line, "inline") {
		if m := inlinedRE.FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
	return ""
}

// number converts decimal digits; nonsense becomes 0.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1<<20 {
		return 0
	}
	return n
}

// bare removes what the compiler appends to a function's name.
func bare(fn string) string {
	if i := strings.IndexByte(fn, '.'); i > 0 {
		return fn[:i]
	}
	return fn
}

// printable drops what can't stand in one line of text: names come from an
// untrusted guest and go into sentences and drawings.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}
