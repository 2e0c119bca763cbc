// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"strconv"
	"strings"

	"plugstorm/harness/frame"
)

// maxSymbol bounds a symbol's name in bytes (KSYM_NAME_LEN, include/linux/kallsyms.h).
const maxSymbol = 512

// refAt reads the reference whose "+0x" stands at plus, and returns where it
// begins and ends; end is 0 if it is none.
func refAt(s string, plus int) (start, end int, r Ref) {
	start = plus
	for start > 0 && plus-start < maxSymbol && isSymbolByte(s[start-1]) {
		start--
	}
	r.Func = s[start:plus]
	if r.Func == "" || r.Func[0] >= '0' && r.Func[0] <= '9' {
		return 0, 0, Ref{}
	}
	offset, n, ok := hexAt(s[plus+1:])
	end = plus + 1 + n
	if !ok || end >= len(s) || s[end] != '/' {
		return 0, 0, Ref{}
	}
	size, n, ok := hexAt(s[end+1:])
	if !ok {
		return 0, 0, Ref{}
	}
	r.Offset, r.Size = offset, size
	end += 1 + n
	r.Module, n = moduleAt(s[end:])
	return start, end + n, r
}

// hexAt reads "0x12" at the beginning of s, and returns its length.
func hexAt(s string) (value uint64, n int, ok bool) {
	if !strings.HasPrefix(s, "0x") {
		return 0, 0, false
	}
	n = 2 + frame.HexDigits(s[2:])
	value, err := strconv.ParseUint(s[2:n], 16, 64)
	return value, n, err == nil
}

// moduleAt reads " [mod]" or " [mod 1f2e..]" (CONFIG_STACKTRACE_BUILD_ID).
func moduleAt(s string) (module string, n int) {
	if !strings.HasPrefix(s, " [") {
		return "", 0
	}
	n = 2
	for n < len(s) && isModuleByte(s[n]) {
		n++
	}
	module = s[2:n]
	if n < len(s) && s[n] == ' ' {
		n += 1 + frame.HexDigits(s[n+1:])
	}
	if module == "" || n >= len(s) || s[n] != ']' || len(module) > maxSymbol {
		return "", 0
	}
	return module, n + 1
}

func isModuleByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

func isSymbolByte(c byte) bool {
	return c != '-' && isModuleByte(c) || c == '.' || c == '$'
}
