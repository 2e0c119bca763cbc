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

	anchored bool // it contains an anchor of a detector
}

// completes reports whether the line is m printed again, in full.
func (l *Line) completes(m *Line) bool {
	return l.Stamp == m.Stamp && l.Caller == m.Caller && strings.HasPrefix(l.Message, m.Message)
}

// sameSource reports whether two lines come from one stream of messages. With
// caller ids it is the task or CPU that printed them. A line without a time
// stamp among stamped ones is not printk's: user space wrote it.
//
// Without caller ids (CONFIG_PRINTK_CALLER is off) nothing in a line says which
// of two reports that mix it belongs to. Then all lines are one stream: the
// first report is closed where the second one begins once it has shown a
// stack, takes the second one's frames for its own before that, and a stack that
// comes with no complaint (see intruders) closes it too.
func (l *Line) sameSource(m *Line) bool {
	return l.Stamped == m.Stamped && l.Caller == m.Caller
}

var escapeRE = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// lex takes a line apart. b has no newline and at most maxLine bytes.
func lex(b []byte) Line {
	b = bytes.TrimRight(b, "\r \t")
	if bytes.IndexByte(b, 0x1b) >= 0 {
		b = bytes.TrimRight(escapeRE.ReplaceAll(b, nil), "\r \t")
	}
	if bytes.IndexByte(b, '\r') >= 0 {
		b = bytes.ReplaceAll(b, []byte("\r"), nil)
	}
	s := string(b)
	// What stands before the stamp (a log level, a login prompt, user output
	// without a newline, a mail's quote marks, syslog's own prefix) is dropped.
	for from := 0; ; {
		i := strings.IndexByte(s[from:], '[')
		if i < 0 {
			return lexUnstamped(s)
		}
		from += i + 1
		if l, ok := lexStamp(s[from:]); ok {
			return l
		}
	}
}

// lexStamp reads "   12.345678][   T12] message"; the caller id may be missing,
// and dmesg -d writes the time since the line before behind the stamp.
func lexStamp(s string) (Line, bool) {
	i := blanks(s)
	sec := digitsOf(s[i:])
	dot := i + sec
	if sec == 0 || len(s) < dot+8 || s[dot] != '.' || digitsOf(s[dot+1:]) != 6 {
		return Line{}, false
	}
	end := dot + 7
	if strings.HasPrefix(s[end:], " <") {
		end += 1 + strings.IndexByte(s[end:min(len(s), end+24)], '>')
	}
	if end >= len(s) || s[end] != ']' {
		return Line{}, false
	}
	l := stamped(stampOf(s[i:dot], s[dot+1:dot+7]), s[end+1:])
	if l.Caller == "" {
		if message, ok := cutHost(l.Message); ok { // journalctl -o short-monotonic
			l.Message = message
		}
	}
	return l, true
}

// lexCaller reads "[   T12]" or Android's "[T12@1]", and returns its length.
func lexCaller(b string) (caller string, n int) {
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
	return b[i:end], n + 1
}

func blanks(b string) int {
	n := 0
	for n < len(b) && b[n] == ' ' {
		n++
	}
	return n
}

func digitsOf(b string) int {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return n
}

// stampOf converts seconds and microseconds. Nonsense becomes 0.
func stampOf(sec, usec string) int64 {
	if len(sec) > 9 {
		return 0
	}
	s, _ := strconv.ParseInt(sec, 10, 64)
	u, _ := strconv.ParseInt(usec, 10, 64)
	return s*1_000_000 + u
}

// replayNotice is what printk says on a console that it took over in the middle
// of a message, before it prints that message again (kernel/printk/printk.c).
const replayNotice = "replaying previous printk message"

// heartbeat begins the lines that our agent writes to /dev/kmsg.
const heartbeat = "plugstorm: "

func isHeartbeat(message string) bool { return strings.HasPrefix(message, heartbeat) }
