// SPDX-License-Identifier: Apache-2.0

package waitfor

import "strings"

// A frame is one function of a stack.
type frame struct {
	fn     string // without offset and without what the compiler appends
	module string // "" for the kernel's own code
}

// parseFrame reads a stack frame: x86's " f+0x1/0x2 [module]", the older
// "[<addr>] f+0x1/0x2", powerpc's "[sp] [addr] f+0x1/0x2", arm's " f from
// g+0x1/0x2". It reports false for other lines and for frames that the unwinder
// isn't sure of.
func parseFrame(message string) (frame, bool) {
	s := strings.TrimLeft(message, " \t")
	for strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 || end > 24 {
			return frame{}, false
		}
		s = strings.TrimLeft(s[end+1:], " ")
	}
	if fn, _, ok := strings.Cut(s, " from "); ok {
		fn = strings.Trim(fn, "()")
		return frame{fn: bare(fn)}, isSymbol(fn)
	}
	fn, rest, ok := strings.Cut(s, "+0x")
	if !ok || !isSymbol(fn) || strings.HasSuffix(rest, "(unreliable)") {
		return frame{}, false
	}
	offset, rest, ok := strings.Cut(rest, "/0x")
	if !ok || offset == "" || len(offset) > 16 {
		return frame{}, false
	}
	f := frame{fn: bare(fn)}
	if _, mod, ok := strings.Cut(rest, "["); ok {
		f.module, _, _ = strings.Cut(strings.TrimRight(mod, "] "), " ")
	}
	return f, true
}

// isSymbol reports whether s can be the name of a C function.
func isSymbol(s string) bool {
	if s == "" || len(s) > 128 || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.', c == '$':
		default:
			return false
		}
	}
	return true
}

// bare cuts what the compiler appends to a name (".isra.0", ".constprop.0").
func bare(fn string) string {
	if i := strings.IndexByte(fn, '.'); i > 0 {
		return fn[:i]
	}
	return fn
}

// interrupted reads the function that an exception interrupted or that a CPU
// was in: x86's "RIP: 0010:f+0x1/0x2", powerpc's "NIP [addr] f+0x1/0x2" and
// "--- interrupt: 900 at f+0x1/0x2", arm64's "pc : f+0x1/0x2". What the stack
// shows above it is the interrupt's. user says that it was in user space.
func interrupted(message string) (f frame, user, ok bool) {
	for _, mark := range []string{"RIP: ", "NIP ", "--- interrupt: ", "pc : "} {
		at := strings.Index(message, mark)
		if at < 0 || at > 1 {
			continue
		}
		s := message[at+len(mark):]
		if i := strings.Index(s, "+0x"); i >= 0 {
			start := strings.LastIndexAny(s[:i], " :>]") + 1
			f, ok = parseFrame(s[start:])
			return f, false, ok
		}
		return frame{}, true, mark != "NIP " // "NIP:  c000.. LR: c000.." are registers only
	}
	return frame{}, false, false
}
