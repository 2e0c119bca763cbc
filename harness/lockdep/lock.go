// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"plugstorm/harness/frame"
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
)

// parseLock reads a line that names a lock, or returns nil.
func parseLock(line string) *Lock {
	m := lockRE.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	l := &Lock{Addr: m[1], Name: clip(m[2]), Class: normalizeClass(clip(m[2])), Usage: m[3], At: clip(m[6]), Offset: clip(m[7])}
	l.Outer, l.Inner = number(m[4]), number(m[5])
	if l.Mode = modeOf(l.At); strings.HasPrefix(l.Class, "rcu_read_lock") {
		l.Mode = Read // other locks take it inside themselves on PREEMPT_RT
	}
	return l
}

// frameOf returns the function of one line of a stack, or "". Frames that the
// unwinder isn't sure of are none. Of arm's lines, which name two, it is the
// caller: the first one is the caller of the line before.
func frameOf(line string) string {
	f, ok := frame.Parse(line)
	if !ok || f.Doubtful {
		return ""
	}
	return clip(cmp.Or(f.Caller, f.Func))
}

// number converts decimal digits; nonsense becomes 0.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1<<20 {
		return 0
	}
	return n
}
