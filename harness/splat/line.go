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
	// "[   12.345678][   T12] "; the caller id may be missing. What stands
	// before it (a log level, a login prompt, user output without a newline, a
	// mail's quote marks, syslog's own prefix) is dropped.
	stampRE = regexp.MustCompile(`\[ *(\d+)\.(\d{6})\](?:\[ *([TC]\d+)(?:@\d+)?\])? ?`)
	// dmesg -T and journalctl -o short-* spell the time as a date.
	dateRE   = regexp.MustCompile(`^\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\](?:\[ *([TC]\d+)\])? ?`)
	syslogRE = regexp.MustCompile(`^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ (?:kernel|kern\.\w+ kernel): `)
	levelRE  = regexp.MustCompile(`^(?:> ?)*(?:<\d{1,2}>)?(?:[a-z]+ *:[a-z]+ *: )?`)
	escapeRE = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")
)

// lex takes a line apart. b has no newline and at most maxLine bytes.
func lex(b []byte) Line {
	b = bytes.TrimRight(b, "\r \t")
	if i := bytes.IndexByte(b, 0x1b); i >= 0 {
		b = escapeRE.ReplaceAll(b, nil)
	}
	if i := bytes.IndexByte(b, '\r'); i >= 0 {
		b = bytes.ReplaceAll(b, []byte("\r"), nil)
	}
	if m := stampRE.FindSubmatchIndex(b); m != nil {
		l := Line{Stamped: true, Stamp: stampOf(b[m[2]:m[3]], b[m[4]:m[5]])}
		if m[6] >= 0 {
			l.Caller = string(b[m[6]:m[7]])
		}
		l.Message = string(b[m[1]:])
		return l
	}
	s := string(b)
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
