// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes one line of console text safe to show on a terminal or in a
// report: what isn't printable becomes \x1b, \u202e or the like. That covers
// control characters (and with them ANSI sequences and line ends: split lines
// first), invalid UTF-8, invisible and formatting characters, and everything
// written from right to left, which would reorder its surroundings. Tabs
// stay. Escaping twice changes nothing more; a backslash stays as it is, so
// the result isn't meant to be decoded.
func Escape(s string) string {
	at := strings.IndexFunc(s, risky)
	if at < 0 {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:at])
	for s = s[at:]; s != ""; {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1, risky(r) && r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case risky(r) && r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		case risky(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// risky is also true for U+FFFD, which is what invalid UTF-8 decodes to.
func risky(r rune) bool {
	return r != '\t' && !unicode.IsPrint(r) || r == utf8.RuneError || unicode.Is(rightToLeft, r)
}

// rightToLeft holds the ranges whose characters are, or will be when they are
// assigned, of bidirectional class R or AL (Unicode's DerivedBidiClass.txt,
// @missing lines).
var rightToLeft = &unicode.RangeTable{
	R16: []unicode.Range16{{0x0590, 0x08ff, 1}, {0xfb1d, 0xfdff, 1}, {0xfe70, 0xfeff, 1}},
	R32: []unicode.Range32{{0x10800, 0x10fff, 1}, {0x1e800, 0x1efff, 1}},
}
