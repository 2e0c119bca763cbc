// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"regexp"
)

// stampedRE matches a line that printk began. A mail program that reflows text
// doesn't know that a console's lines stand for themselves.
var stampedRE = regexp.MustCompile(`^(?:<\d+>)?\[ *\d+\.\d{6}\]`)

// A body reads the text of a mail: quote marks cut ("> " at any depth), the
// soft line ends of format=flowed (RFC 3676) undone, but never before a line that
// has printk's time stamp, and lines of a log put together again that a mail
// program has broken. Line ends become "\n".
type body struct {
	in            *bufio.Reader
	flowed, delsp bool // the parameters of text/plain

	out    bytes.Buffer
	mid    bool // the next bytes go on with a line that is longer than our buffer
	soft   bool // the line before may go on
	logged bool // the line before has a time stamp, or goes on with one that has
	width  int  // of the line before, in bytes, without quote marks
	depth  int  // how deep the line before was quoted
	behind bool // the end of the line before has not been written yet
	err    error
}

// longLine is the length of a line, in bytes, from which on its rest is copied
// without a look. printk's lines and RFC 5322's are shorter.
const longLine = 4096

func newBody(in io.Reader, flowed, delsp bool) *body {
	return &body{in: bufio.NewReaderSize(in, longLine), flowed: flowed, delsp: delsp}
}

func (b *body) Read(p []byte) (int, error) {
	for b.out.Len() == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.fill()
	}
	return b.out.Read(p)
}

// fill reads one line, or a piece of one.
func (b *body) fill() {
	line, err := b.in.ReadSlice('\n')
	ended := err == nil
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		b.err = err
	}
	if b.mid {
		b.write(line, ended)
		return
	}
	if len(line) > 0 {
		b.begin(line, ended)
	} else if b.behind {
		b.out.WriteByte('\n')
		b.behind = false
	}
	if b.err != nil && b.behind {
		b.out.WriteByte('\n')
		b.behind = false
	}
}

// begin takes a line from its beginning.
func (b *body) begin(line []byte, ended bool) {
	depth := b.depth
	line, b.depth = unquote(line)
	if b.flowed && len(line) > 0 && line[0] == ' ' {
		line = line[1:] // RFC 3676, section 4.4: space-stuffing
	}
	stamped := stampedRE.Match(line)
	switch next := b.behind && depth == b.depth && !stamped; {
	case next && b.soft:
	case next && b.broken(line):
		b.out.WriteByte(' ')
	case b.behind:
		b.logged = false
		b.out.WriteByte('\n')
	}
	b.logged, b.width = b.logged || stamped, len(line)
	b.behind = false
	b.write(line, ended)
}

// broken reports whether a line without a time stamp goes on with the line of
// a log before it: they were one, if the line before had no room for its first
// word. Mail programs break lines at 72 columns or behind that.
func (b *body) broken(line []byte) bool {
	const leastWidth = 72
	word, _, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(" "))
	return b.logged && len(word) > 0 && b.width+len(word) >= leastWidth
}

// write writes a line but for its end.
func (b *body) write(line []byte, ended bool) {
	b.mid, b.behind = !ended, ended
	if ended {
		line = bytes.TrimRight(line, "\r\n")
	}
	b.soft = b.flowed && ended && bytes.HasSuffix(line, []byte(" ")) && string(line) != "-- "
	if b.soft && b.delsp {
		line = line[:len(line)-1]
	}
	b.out.Write(line)
}

// unquote cuts quote marks and counts them.
func unquote(line []byte) (rest []byte, depth int) {
	for len(line) > 0 && line[0] == '>' {
		depth++
		line = line[1:]
		if len(line) > 1 && line[0] == ' ' && line[1] == '>' {
			line = line[1:]
		}
	}
	if depth > 0 && len(line) > 0 && line[0] == ' ' {
		line = line[1:]
	}
	return line, depth
}
