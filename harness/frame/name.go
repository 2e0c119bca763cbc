// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"strings"
	"unicode"
)

// maxName bounds a name in bytes (KSYM_NAME_LEN, include/linux/kallsyms.h).
const maxName = 512

// IsName reports whether s can be a function's name. Blanks and punctuation
// may stand only in Rust's.
func IsName(s string) bool {
	if s == "" || len(s) > maxName || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	rust := strings.Contains(s, "::")
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.', c == '$':
		case rust && strings.IndexByte("<>:*&, ", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// Bare removes what the compiler appends to a function's name (".isra.0",
// ".constprop.0", ".part.3", ".cold", ".llvm.123").
func Bare(fn string) string {
	if i := strings.IndexByte(fn, '.'); i > 0 && !strings.Contains(fn, "::") {
		return fn[:i]
	}
	return fn
}

// Printable makes one line of text from what a guest sent: a tab becomes a
// blank, other control characters and what isn't UTF-8 go. Names go into
// titles, sentences and drawings, and these into terminals and mails.
func Printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// HexDigits counts the lower-case hexadecimal digits that s begins with.
func HexDigits(s string) int {
	n := 0
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] >= 'a' && s[n] <= 'f') {
		n++
	}
	return n
}
