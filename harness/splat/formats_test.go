// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A record is one message as printk stored it.
type record struct {
	usec    int64 // since boot
	caller  string
	message string
}

// recordRE is written apart from lex, which it checks.
var recordRE = regexp.MustCompile(`^(?:<\d+>|\*\* \d+ printk messages dropped \*\* )?\[ *(\d{1,9})\.(\d{6})\](?:\[ *([TC]\d+)\])? ?(.*)$`)

var innerRE = regexp.MustCompile(`\[ *\d+\.\d{6}\]`)

// records returns what printk printed in a console: the stamped lines, or all
// lines where none is stamped.
func records(log []byte) []record {
	var stamped, all []record
	for line := range strings.Lines(strings.ReplaceAll(string(log), "\r", "")) {
		line = strings.TrimSuffix(line, "\n")
		if strings.Contains(line, replayNotice) && len(stamped) > 0 {
			stamped = stamped[:len(stamped)-1] // it comes again
			continue
		}
		m := recordRE.FindStringSubmatch(line)
		if m == nil {
			all = append(all, record{usec: 1_000_000 + int64(len(all))*20, message: line})
			continue
		}
		message := m[4]
		if i := innerRE.FindStringIndex(message); i != nil {
			message = message[:i[0]] // another CPU's message in the same line
		}
		sec, _ := strconv.ParseInt(m[1], 10, 64)
		usec, _ := strconv.ParseInt(m[2], 10, 64)
		stamped = append(stamped, record{sec*1_000_000 + usec, m[3], message})
	}
	if len(stamped) > 0 {
		return stamped
	}
	return all
}

// A format writes records as some program does.
type format struct {
	name   string
	caller bool // it keeps the caller ids
	stamp  bool // it says when, not only how long after the line before
	line   func(r record) string
}

// booted is when the machines of all tests started.
var booted = time.Date(2026, 11, 22, 1, 43, 39, 0, time.UTC)

func (r record) at(layout string) string {
	return booted.Add(time.Duration(r.usec) * time.Microsecond).Format(layout)
}

func (r record) stamp() string { return fmt.Sprintf("[%5d.%06d]", r.usec/1_000_000, r.usec%1_000_000) }

func (r record) from() string {
	if r.caller == "" {
		return ""
	}
	return fmt.Sprintf("[%5s]", r.caller)
}

// spaced is how dmesg writes the caller id since 2.40.
func spaced(r record) string {
	if r.caller == "" {
		return ""
	}
	return " [" + r.caller + "]"
}

func (r record) console() string { return r.stamp() + r.from() + " " + r.message }

// formats are the ways in which a kernel log reaches us.
var formats = []format{
	{"console", true, true, record.console},
	{"crlf", true, true, func(r record) string { return r.console() + "\r" }},
	{"colour", true, true, func(r record) string {
		// dmesg --color=always: time green, the subsystem brown, errors red.
		return "\x1b[32m" + r.stamp() + spaced(r) + " \x1b[0m\x1b[33m" + r.message + "\x1b[0m"
	}},
	{"level", true, true, func(r record) string { return "<4>" + r.console() }},
	{"dmesg-x", true, true, func(r record) string { return "kern  :warn  : " + r.console() }},
	{"mail-1", true, true, func(r record) string { return "> " + r.console() }},
	{"mail-2", true, true, func(r record) string { return "> > " + r.console() }},
	{"mail-3", true, true, func(r record) string { return ">>> " + r.console() }},
	{"rsyslog-traditional", true, true, func(r record) string {
		return r.at("Jan _2 15:04:05") + " host kernel: " + r.console()
	}},
	{"rsyslog-iso", true, true, func(r record) string {
		return r.at("2006-01-02T15:04:05.000000-07:00") + " host kernel: " + r.console()
	}},
	{"busybox-syslogd", true, true, func(r record) string {
		return r.at("Jan _2 15:04:05") + " host kern.warn kernel: " + r.console()
	}},
	{"netconsole-extended", true, true, func(r record) string {
		s := fmt.Sprintf("4,%d,%d,-", r.usec/7, r.usec)
		if r.caller != "" {
			s += ",caller=" + r.caller
		}
		return s + ";" + r.message
	}},
	{"dmesg-T", true, true, func(r record) string { return r.at("[Mon Jan _2 15:04:05 2006]") + r.from() + " " + r.message }},
	{"dmesg-iso", true, true, func(r record) string {
		return r.at("2006-01-02T15:04:05,000000-07:00") + spaced(r) + " " + r.message
	}},
	{"dmesg-iso-x", true, true, func(r record) string {
		return "kern  :err   : " + r.at("2006-01-02T15:04:05,000000-07:00") + spaced(r) + " " + r.message
	}},
	{"dmesg-d", true, true, func(r record) string {
		return strings.TrimSuffix(r.stamp(), "]") + " <    0.000123>]" + spaced(r) + " " + r.message
	}},
	{"dmesg-delta", true, false, func(r record) string { return "[<    0.000123>]" + spaced(r) + " " + r.message }},
	{"dmesg-e", true, false, func(r record) string { return "[  +0.000123]" + spaced(r) + " " + r.message }},
	{"dmesg-e-minute", true, true, func(r record) string { return r.at("[Jan02 15:04]") + spaced(r) + " " + r.message }},
	{"journal-short", false, true, func(r record) string { return r.at("Jan _2 15:04:05") + " host kernel: " + r.message }},
	{"journal-short-precise", false, true, func(r record) string {
		return r.at("Jan _2 15:04:05.000000") + " host kernel: " + r.message
	}},
	{"journal-short-iso", false, true, func(r record) string {
		return r.at("2006-01-02T15:04:05-0700") + " host kernel: " + r.message
	}},
	{"journal-short-iso-precise", false, true, func(r record) string {
		return r.at("2006-01-02T15:04:05.000000-07:00") + " host kernel: " + r.message
	}},
	{"journal-short-full", false, true, func(r record) string {
		return r.at("Mon 2006-01-02 15:04:05 MST") + " host kernel: " + r.message
	}},
	{"journal-short-unix", false, true, func(r record) string { return unixTime(r) + " host kernel: " + r.message }},
	{"journal-short-monotonic", false, true, func(r record) string { return r.stamp() + " host kernel: " + r.message }},
	{"journal-quoted", false, true, func(r record) string {
		return "> " + r.at("Jan _2 15:04:05") + " host kernel: " + r.message
	}},
	{"dmesg-t", false, false, func(r record) string { return r.message }},
	{"dmesg-tx", false, false, func(r record) string { return "kern  :alert : " + r.message }},
	{"dmesg-t-quoted", false, false, func(r record) string { return "> " + r.message }},
	{"level-only", false, false, func(r record) string { return "<3>" + r.message }},
}

func unixTime(r record) string {
	t := booted.Add(time.Duration(r.usec) * time.Microsecond)
	return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000)
}

// write renders records in a format.
func (f format) write(rs []record) []byte {
	var b bytes.Buffer
	for _, r := range rs {
		b.WriteString(f.line(r))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// anonymous returns the records without caller ids.
func anonymous(rs []record) []record {
	out := make([]record, len(rs))
	for i, r := range rs {
		out[i] = record{r.usec, "", r.message}
	}
	return out
}
