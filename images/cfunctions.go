// SPDX-License-Identifier: Apache-2.0

package images

import (
	"regexp"
	"strings"
)

// cFunctions reads the functions that a C file of the kernel's defines: heads and
// bodies, by name. Of one that is defined twice (under #ifdef) it has both. rest is
// what is outside of them.
//
// It goes by the kernel's style (Documentation/process/coding-style.rst), as
// scripts/checkpatch.pl and git's hunk headings do: a definition begins in the first
// column, and its body ends with a brace there. What a macro defines
// (SYSCALL_DEFINE3) is no function here: its symbol has another name.
func cFunctions(text string) (functions map[string]string, rest string) {
	functions = map[string]string{}
	var outside strings.Builder
	head, at, name := 0, 0, "" // where what is being read begins, where its last line does, and the function that it is
	for line := range strings.Lines(text) {
		end := at + len(line)
		if name == "" {
			if startsHead(line) {
				outside.WriteString(text[head:at])
				head = at
			}
			if line[0] == '{' || opensBody(line) {
				name = definedName(text[head:end])
			}
		}
		switch {
		case name != "" && (line[0] == '}' || oneLiner(text[head:end])):
			functions[name] += text[head:end]
			head, name = end, ""
		case name == "" && endsHead(line):
			outside.WriteString(text[head:end])
			head = end
		}
		at = end
	}
	if name != "" { // it doesn't end
		functions[name] += text[head:]
		head = len(text)
	}
	return functions, outside.String() + text[head:]
}

// startsHead reports whether a definition or declaration may begin with a line. One
// that is spread over several goes on in a later column, or in the first one with
// the function's name behind a type (the style of old).
func startsHead(line string) bool { return storage.MatchString(line) }

var storage = regexp.MustCompile(`^(static|extern|const|struct|enum|union|int|void|bool|ssize_t|unsigned|asmlinkage|__init|inline)\b`)

// endsHead reports whether what was read so far is no definition's beginning.
func endsHead(line string) bool {
	line = strings.TrimRight(line, " \t\r\n")
	return line == "" || line[0] == '#' || line[0] == '}' || strings.HasSuffix(line, ";") || strings.HasSuffix(line, "*/")
}

// opensBody reports whether a line ends a head, with the brace behind it.
func opensBody(line string) bool {
	line = strings.TrimRight(line, " \t\r\n")
	return line != "" && line[0] != '#' && !strings.Contains(line, "=") && (strings.HasSuffix(line, ") {") || oneLiner(line))
}

// oneLiner reports whether a text is a definition on a single line, as stubs are.
func oneLiner(text string) bool {
	line := strings.TrimRight(text, " \t\r\n")
	return !strings.Contains(line, "\n") && storage.MatchString(line) && strings.Contains(line, ") {") && strings.HasSuffix(line, "}")
}

// called finds "NAME(" in a head.
var called = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*[ \t]*\(`)

// attributes are what may stand before a function's name with parentheses.
var attributes = map[string]bool{"__attribute__": true, "__printf": true, "__scanf": true, "__section": true, "__aligned": true, "__no_sanitize": true, "__alloc_size": true, "__assume_aligned": true}

// definedName is the function that a head defines, "" if it defines none: a
// structure, or whatever a macro makes of it.
func definedName(head string) string {
	if body := strings.Index(head, "{"); body >= 0 {
		head = head[:body]
	}
	if strings.Contains(head, "=") {
		return "" // the initialiser of a variable
	}
	for _, found := range called.FindAllString(head, -1) {
		name := strings.TrimRight(found, " \t(")
		switch {
		case attributes[name]:
			continue
		case name == strings.ToUpper(name) && strings.HasPrefix(head, found):
			return "" // a macro makes the head
		}
		return name
	}
	return ""
}
