// SPDX-License-Identifier: Apache-2.0

// Package fields reads what our kernel modules say, lines of "KEY=VALUE KEY=VALUE...",
// and what is written for them, lists with comments. What they say comes from a guest,
// so nothing in it is trusted to be there, or short.
package fields

import (
	"math"
	"strconv"
	"strings"
	"unicode"
)

// A List is the fields of a line. What is asked for and isn't there, or isn't what
// it is asked for as, reads as nothing and makes the List not OK: ask for
// everything, and then once whether it was there.
type List struct {
	values map[string]string
	bad    bool
}

// Of reads a line's fields. Of two with the same key the last one counts.
func Of(text string) *List {
	f := &List{values: map[string]string{}}
	for _, word := range strings.Fields(text) {
		key, value, _ := strings.Cut(word, "=")
		f.values[key] = value
	}
	return f
}

// OK reports whether all that was asked for so far was there.
func (f *List) OK() bool { return !f.bad }

// Fail says that a value is not what it should be.
func (f *List) Fail() { f.bad = true }

// Text is a value.
func (f *List) Text(key string) string {
	value, ok := f.values[key]
	f.bad = f.bad || !ok
	return value
}

// Count is a value that counts something, and so isn't negative.
func (f *List) Count(key string) int64 {
	n, err := strconv.ParseInt(f.Text(key), 10, 64)
	if err != nil || n < 0 {
		f.bad = true
		return 0
	}
	return n
}

// Small is a count that fits into 32 bits.
func (f *List) Small(key string) int {
	n := f.Count(key)
	if n > math.MaxInt32 {
		f.bad = true
		return 0
	}
	return int(n)
}

// Plain reports whether a text has at most so many bytes, all printable.
func Plain(text string, most int) bool {
	return len(text) <= most && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
