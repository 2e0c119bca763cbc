// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"plugstorm/harness/console"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "",
		"[    1.234567] BUG: \\o/\ttab, 100 %": "[    1.234567] BUG: \\o/\ttab, 100 %",
		"naïve – 漢字 µs":                        "naïve – 漢字 µs",
		"\x1b[2J\x1b]0;title\a":                `\x1b[2J\x1b]0;title\x07`,
		"a\r\nb\x00\x7f":                       `a\x0d\x0ab\x00\x7f`,
		"\u009b31m":                            `\u009b31m`,
		"\u202egnp.exe":                        `\u202egnp.exe`,
		"x\u2066y\u2069\u200f":                 `x\u2066y\u2069\u200f`,
		"zero\u200bwidth\ufeff":                `zero\u200bwidth\ufeff`,
		"two\u2028lines":                       `two\u2028lines`,
		"no\u00a0break":                        `no\u00a0break`,
		"אב":                                   `\u05d0\u05d1`,
		"\U000e0041\U0001e900":                 `\U000e0041\U0001e900`,
		"cut \xe6\xbc, lone \xff":              `cut \xe6\xbc, lone \xff`,
		"\ufffd":                               `\ufffd`,
	} {
		if got := console.Escape(in); got != want {
			t.Errorf("%q becomes %s, want %s", in, got, want)
		}
	}
}

func TestEscapedIsSafe(t *testing.T) {
	anything := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(t *rapid.T) {
		in := anything.Draw(t, "in")
		out := console.Escape(in)
		if !utf8.ValidString(out) {
			t.Fatalf("%q isn't UTF-8", out)
		}
		if strings.ContainsFunc(out, func(r rune) bool { return r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 }) {
			t.Fatalf("%q has control characters", out)
		}
		if again := console.Escape(out); again != out {
			t.Fatalf("escaping twice turns %q into %q", out, again)
		}
	})
}
