// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

// maxLine bounds what is looked at of one line, in bytes. The kernel's own
// limit is far lower (PRINTKRB_RECORD_MAX is 1024).
const maxLine = 4096

// A Line is one line of console output, taken apart.
type Line struct {
	Message string // without prefix, carriage returns, escape sequences, trailing blanks
	Caller  string // printk's caller id ("T12", "C0"), "" without one
	Stamped bool   // it has the kernel's time stamp
	Stamp   int64  // kernel time in microseconds
	Cut     bool   // the input ended before the line did

	Start, End int64 // offsets in the input; End is behind the newline
}

// sameSource reports whether two lines come from one stream of messages. With
// caller ids it is the task or CPU that printed them. A line without a time
// stamp among stamped ones is not printk's: user space wrote it.
func (l *Line) sameSource(m *Line) bool {
	return l.Stamped == m.Stamped && l.Caller == m.Caller
}

var (
	// dmesg -T and journalctl -o short-* spell the time as a date.
	dateRE   = regexp.MustCompile(`^\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\](?:\[ *([TC]\d+)\])? ?`)
	syslogRE = regexp.MustCompile(`^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ (?:kernel|kern\.\w+ kernel): `)
	levelRE  = regexp.MustCompile(`^(?:> ?)+|^<\d{1,2}>|^[a-z]+ *:[a-z]+ *: `)
	escapeRE = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")
)

// lex takes a line apart. b has no newline and at most maxLine bytes.
func lex(b []byte) Line {
	b = bytes.TrimRight(b, "\r \t")
	if bytes.IndexByte(b, 0x1b) >= 0 {
		b = escapeRE.ReplaceAll(b, nil)
	}
	if bytes.IndexByte(b, '\r') >= 0 {
		b = bytes.ReplaceAll(b, []byte("\r"), nil)
	}
	// What stands before the stamp (a log level, a login prompt, user output
	// without a newline, a mail's quote marks, syslog's own prefix) is dropped.
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], '[')
		if i < 0 {
			return lexUnstamped(string(b))
		}
		from += i + 1
		if l, ok := lexStamp(b[from:]); ok {
			return l
		}
	}
}

// lexStamp reads "   12.345678][   T12] message"; the caller id may be missing.
func lexStamp(b []byte) (Line, bool) {
	i := blanks(b)
	sec := digitsOf(b[i:])
	dot := i + sec
	if sec == 0 || len(b) < dot+8 || b[dot] != '.' || digitsOf(b[dot+1:]) != 6 || b[dot+7] != ']' {
		return Line{}, false
	}
	l := Line{Stamped: true, Stamp: stampOf(b[i:dot], b[dot+1:dot+7])}
	rest := b[dot+8:]
	if caller, n := lexCaller(rest); n > 0 {
		l.Caller, rest = caller, rest[n:]
	}
	if len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	l.Message = string(rest)
	return l, true
}

// lexCaller reads "[   T12]" or Android's "[T12@1]", and returns its length.
func lexCaller(b []byte) (caller string, n int) {
	if len(b) < 4 || b[0] != '[' {
		return "", 0
	}
	i := 1 + blanks(b[1:])
	if i >= len(b) || b[i] != 'T' && b[i] != 'C' {
		return "", 0
	}
	end := i + 1 + digitsOf(b[i+1:])
	n = end
	if n < len(b) && b[n] == '@' {
		n += 1 + digitsOf(b[n+1:])
	}
	if end == i+1 || n >= len(b) || b[n] != ']' {
		return "", 0
	}
	return string(b[i:end]), n + 1
}

func blanks(b []byte) int {
	n := 0
	for n < len(b) && b[n] == ' ' {
		n++
	}
	return n
}

func digitsOf(b []byte) int {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return n
}

// lexUnstamped cuts other prefixes.
func lexUnstamped(s string) Line {
	if s == "" || s[0] == ' ' || s[0] == '\t' {
		return Line{Message: s}
	}
	s = s[len(levelRE.FindString(s)):]
	s = s[len(syslogRE.FindString(s)):]
	if m := dateRE.FindStringSubmatch(s); m != nil {
		return Line{Message: s[len(m[0]):], Caller: m[1], Stamped: true}
	}
	return Line{Message: s}
}

// stampOf converts seconds and microseconds. Nonsense becomes 0.
func stampOf(sec, usec []byte) int64 {
	if len(sec) > 9 {
		return 0
	}
	s, _ := strconv.ParseInt(string(sec), 10, 64)
	u, _ := strconv.ParseInt(string(usec), 10, 64)
	return s*1_000_000 + u
}

// replayed is what printk says on a console that it took over in the middle
// of a message, before it prints that message again (kernel/printk/printk.c).
const replayed = "replaying previous printk message"

// heartbeat begins the lines that our agent writes to /dev/kmsg.
const heartbeat = "plugstorm: "

func isHeartbeat(message string) bool { return strings.HasPrefix(message, heartbeat) }
