// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"strconv"
	"strings"

	"plugstorm/harness/frame"
)

// lexUnstamped takes apart a line without printk's own time stamp: what it has
// instead was put there by whoever passed the message on.
func lexUnstamped(s string) Line {
	if s == "" || s[0] == ' ' || s[0] == '\t' {
		return Line{Message: s}
	}
	s = cutLevel(cutQuotes(s))
	if l, ok := lexExtended(s); ok {
		return l
	}
	if len(s) > 0 && s[0] == '[' {
		return lexBracketDate(s)
	}
	usec, rest, ok := cutDate(s)
	switch {
	case !ok:
		return Line{Message: s}
	case isoComma(s[:len(s)-len(rest)]): // dmesg writes a comma, and no host
		return stamped(usec, rest)
	}
	if message, ok := cutHost(strings.TrimPrefix(rest, " ")); ok {
		return Line{Stamped: true, Stamp: usec, Message: message}
	}
	return Line{Message: s} // another program's line in the same journal
}

// stamped finishes a line behind its time: a caller id may follow.
func stamped(usec int64, rest string) Line {
	l := Line{Stamped: true, Stamp: usec}
	caller, n := lexCaller(strings.TrimPrefix(rest, " ")) // dmesg since 2.40 sets it apart
	if n > 0 {
		l.Caller, rest = caller, strings.TrimPrefix(rest, " ")[n:]
	}
	l.Message = strings.TrimPrefix(rest, " ")
	return l
}

// cutQuotes cuts a mail's quote marks. KASAN marks a line of its memory dump
// with ">" too, before an address.
func cutQuotes(s string) string {
	const address = 8 // hexadecimal digits at least
	if s[0] != '>' || frame.HexDigits(s[1:]) >= address {
		return s
	}
	for strings.HasPrefix(s, ">") {
		s = strings.TrimPrefix(s[1:], " ")
	}
	return s
}

// cutLevel cuts printk's level, "<4>", or what dmesg -x writes for it and the
// facility, "kern  :warn  : ".
func cutLevel(s string) string {
	if strings.HasPrefix(s, "<") {
		n := digitsOf(s[1:])
		if n > 0 && n <= 3 && strings.HasPrefix(s[1+n:], ">") {
			return s[n+2:]
		}
		return s
	}
	facility, rest, ok := strings.Cut(s[:min(len(s), 20)], ":")
	level, _, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 || !levels[strings.TrimRight(level, " ")] || strings.ContainsAny(strings.TrimRight(facility, " "), " []") {
		return s
	}
	return strings.TrimPrefix(s[len(facility)+len(level)+2:], " ")
}

var levels = map[string]bool{"emerg": true, "alert": true, "crit": true, "err": true, "warn": true, "notice": true, "info": true, "debug": true}

// lexExtended reads a record of /dev/kmsg, which is also what an extended
// netconsole sends: "level,sequence,microseconds,flags[,caller=T12...];message"
// (Documentation/ABI/testing/dev-kmsg).
func lexExtended(s string) (Line, bool) {
	head, message, ok := strings.Cut(s, ";")
	if !ok || len(head) > 80 || digitsOf(head) == 0 {
		return Line{}, false
	}
	fields := strings.Split(head, ",")
	if len(fields) < 4 || digitsOf(fields[1]) != len(fields[1]) {
		return Line{}, false
	}
	usec, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return Line{}, false
	}
	l := Line{Stamped: true, Stamp: usec, Message: message}
	for _, f := range fields[4:] {
		if caller, ok := strings.CutPrefix(f, "caller="); ok {
			l.Caller = caller
		}
	}
	return l, true
}

// cutHost cuts what syslog and the journal put before a message of the kernel:
// "host kernel: ", and with busybox "host kern.warn kernel: ".
func cutHost(s string) (message string, ok bool) {
	_, rest, ok := strings.Cut(s, " ")
	if !ok {
		return s, false
	}
	if strings.HasPrefix(rest, "kern.") {
		_, rest, _ = strings.Cut(rest, " ")
	}
	if message, ok = strings.CutPrefix(rest, "kernel: "); ok {
		return message, true
	}
	return "", rest == "kernel:" // an empty message, whose blank was trimmed
}

// Dates, as patterns: A is a letter, 0 a digit, _ a digit or a blank, T itself
// or a blank, and other bytes are themselves.
const (
	syslogDate = "AAA _0 00:00:00"
	isoDate    = "0000-00-00T00:00:00"
	fullDate   = "AAA 0000-00-00 00:00:00"    // journalctl -o short-full
	ctimeDate  = "[AAA AAA _0 00:00:00 0000]" // dmesg -T
	minuteDate = "[AAA00 00:00]"              // dmesg -e: a new minute
)

func matchDate(s, pattern string) bool {
	if len(s) < len(pattern) {
		return false
	}
	for i := range len(pattern) {
		c := s[i]
		digit, letter := c >= '0' && c <= '9', c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		switch pattern[i] {
		case 'A':
			if !letter {
				return false
			}
		case '0':
			if !digit {
				return false
			}
		case '_':
			if !digit && c != ' ' {
				return false
			}
		case 'T':
			if c != 'T' && c != ' ' {
				return false
			}
		default:
			if c != pattern[i] {
				return false
			}
		}
	}
	return true
}

// cutDate cuts a date without brackets. usec counts from some day of the past.
func cutDate(s string) (usec int64, rest string, ok bool) {
	switch {
	case matchDate(s, syslogDate):
		usec, rest = dateOf(s[:3], s[4:6], s[7:15]), s[len(syslogDate):]
	case matchDate(s, isoDate):
		usec, rest = dateOf(s[5:7], s[8:10], s[11:19]), s[len(isoDate):]
	case matchDate(s, fullDate):
		usec, rest = dateOf(s[9:11], s[12:14], s[15:23]), s[len(fullDate):]
		if zone, after, ok := strings.Cut(strings.TrimPrefix(rest, " "), " "); ok && len(zone) <= 5 {
			rest = " " + after
		}
	default:
		return cutUnix(s)
	}
	frac, rest := cutFraction(rest)
	return usec + frac, cutZone(rest), true
}

// cutUnix cuts the seconds since 1970, with microseconds (journalctl -o short-unix).
func cutUnix(s string) (usec int64, rest string, ok bool) {
	n := digitsOf(s)
	if n < 9 || n > 11 || len(s) < n+8 || s[n] != '.' || digitsOf(s[n+1:]) != 6 {
		return 0, s, false
	}
	sec, _ := strconv.ParseInt(s[:n], 10, 64)
	frac, _ := strconv.ParseInt(s[n+1:n+7], 10, 64)
	return sec*1_000_000 + frac, s[n+7:], true
}

func cutFraction(s string) (usec int64, rest string) {
	if s == "" || s[0] != '.' && s[0] != ',' {
		return 0, s
	}
	n := digitsOf(s[1:])
	usec, _ = strconv.ParseInt((s[1:1+n] + "000000")[:6], 10, 64)
	return usec, s[1+n:]
}

// cutZone cuts "Z", "+00:00" or "+0000".
func cutZone(s string) string {
	switch {
	case strings.HasPrefix(s, "Z"):
		return s[1:]
	case matchDate(s, "+00:00"), matchDate(s, "-00:00"):
		return s[6:]
	case matchDate(s, "+0000"), matchDate(s, "-0000"):
		return s[5:]
	}
	return s
}

// isoComma reports whether a date is dmesg's --time-format=iso.
func isoComma(date string) bool { return len(date) > len(isoDate) && date[len(isoDate)] == ',' }

// lexBracketDate reads the times that dmesg writes in brackets.
func lexBracketDate(s string) Line {
	switch {
	case matchDate(s, ctimeDate):
		return stamped(dateOf(s[5:8], s[9:11], s[12:20]), s[len(ctimeDate):])
	case matchDate(s, minuteDate):
		return stamped(dateOf(s[1:4], s[4:6], s[7:12]+":00"), s[len(minuteDate):])
	}
	// "[  +0.000123]" and "[<    0.000123>]": the time since the line before.
	i := strings.IndexByte(s[:min(len(s), 24)], ']')
	if i > 0 && strings.Trim(s[1:i], " <+>0123456789.") == "" && strings.ContainsAny(s[1:i], "<+") && strings.Contains(s[1:i], ".") {
		return stamped(0, s[i+1:])
	}
	return Line{Message: s}
}

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// dateOf counts microseconds from the beginning of a year whose months have 31
// days. Only differences within one log matter.
func dateOf(month, day, clock string) int64 {
	m := strings.Index(months, month) / 3
	if n, err := strconv.Atoi(month); err == nil {
		m = n
	}
	d, _ := strconv.Atoi(strings.TrimSpace(day))
	at := int64(m*31 + d)
	for _, part := range []struct {
		from int
		unit int64
	}{{0, 24}, {3, 60}, {6, 60}} {
		n, _ := strconv.Atoi(clock[part.from : part.from+2])
		at = at*part.unit + int64(n)
	}
	return at * 1_000_000
}

// mayBeStamped reports whether lex could find a time in the line. It is cheap.
func mayBeStamped(b []byte) bool {
	return bytes.IndexByte(b, '[') >= 0 || len(b) > len(syslogDate) && (b[0] >= '0' && b[0] <= '9' || bytes.IndexByte(b[:min(len(b), 24)], ':') >= 0)
}
