// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"strings"
	"time"
)

// MaxLine is the default cap of a line's length in bytes. The kernel's own
// lines are shorter than 1024 (kernel/printk/internal.h PRINTKRB_RECORD_MAX).
const MaxLine = 4096

// A Line is a line of the console, or a piece of an overlong one.
type Line struct {
	At     time.Time // of the chunk that completed it
	Offset int64     // of its first byte in the console
	Size   int       // bytes it takes there, line end included: the next line begins at Offset+Size
	Text   string    // without line end; untrusted, see Escape
	More   bool      // the line was too long and goes on in the next Line
}

// Lines splits chunks into lines. A line ends with \n, and any \r right before
// that are no part of its text (a serial console sends \r\n). The lines are
// the same however the output was cut into chunks, and no byte is lost: they
// cover it without a gap. The zero value is ready; it isn't safe for
// concurrent use, and has no clock of its own.
type Lines struct {
	Max int // bytes of a line without its end; 0 means MaxLine

	begun  bool   // a chunk was added
	rest   []byte // of a line not ended yet; at most Max bytes between two calls
	offset int64  // of rest
	at     time.Time
}

// Add takes the next chunk and returns the lines that it completes. Chunks
// must come in order; the offset of the first one is where counting starts.
func (l *Lines) Add(c Chunk) []Line {
	if !l.begun {
		l.begun, l.offset = true, c.Offset
	}
	l.at = c.At
	var lines []Line
	data := c.Data
	for len(data) > 0 {
		room := l.max() + 1 - len(l.rest) // a line's end may stand right behind Max bytes
		end := bytes.IndexByte(data[:min(room, len(data))], '\n')
		switch {
		case end >= 0:
			l.rest = append(l.rest, data[:end+1]...)
			data = data[end+1:]
			lines = append(lines, l.cut(len(l.rest), false))
		case len(data) < room:
			l.rest = append(l.rest, data...)
			data = nil
		default:
			l.rest = append(l.rest, data[:room]...)
			data = data[room:]
			lines = append(lines, l.cut(l.max(), true))
		}
	}
	return lines
}

// Rest returns the line that was begun and not ended, if there is one: the
// last words of a console, or a prompt. It changes nothing.
func (l *Lines) Rest() (Line, bool) {
	return Line{At: l.at, Offset: l.offset, Size: len(l.rest), Text: string(l.rest)}, len(l.rest) > 0
}

func (l *Lines) max() int {
	if l.Max <= 0 {
		return MaxLine
	}
	return l.Max
}

// cut makes a Line of rest's first n bytes.
func (l *Lines) cut(n int, more bool) Line {
	line := Line{At: l.at, Offset: l.offset, Size: n, Text: string(l.rest[:n]), More: more}
	if !more {
		line.Text = strings.TrimRight(line.Text[:n-1], "\r")
	}
	l.rest = append(l.rest[:0], l.rest[n:]...)
	l.offset += int64(n)
	return line
}
