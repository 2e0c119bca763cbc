// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
)

var (
	// separatorRE matches the line before each message of a mailbox: "From ",
	// an address or whatever stands for one, and a date in the form of asctime
	// (RFC 4155, appendix A).
	separatorRE = regexp.MustCompile(`^From \S+ +[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]?\d \d\d:\d\d`)
	mungedRE    = regexp.MustCompile(`^>+From `)
)

// mailbox reads a mailbox message by message.
func (w *walker) mailbox(part string, r *bufio.Reader, depth int) error {
	if part != "" {
		part += ": "
	}
	var errs []error
	box := &mailbox{in: r, blank: true}
	one := bufio.NewReaderSize(box, sniffed)
	for n := 1; box.next(); n++ {
		name := fmt.Sprintf("%smail %d", part, n)
		one.Reset(box)
		if err := w.mail(name, one, depth); err != nil {
			errs = w.note(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(append(errs, box.err)...)
}

// A mailbox reads the messages of a mailbox one after the other: next goes to
// a message, Read reads to its end. A ">From " that was put in the place of a
// "From " is put back (the format known as mboxrd; in the others, quoted lines
// lose one level of quoting, which means nothing to us).
type mailbox struct {
	in    *bufio.Reader
	out   []byte // of the current message, not yet read
	blank bool   // the line before was empty, or there was none
	mid   bool   // the next bytes go on with a line
	at    bool   // the separator of the next message has been read
	ended bool
	err   error // other than the end
}

// next skips what is left of this message. It returns false at the end.
func (m *mailbox) next() bool {
	for !m.at && !m.ended {
		m.fill()
	}
	m.out, m.at = nil, false
	return !m.ended
}

func (m *mailbox) Read(p []byte) (int, error) {
	for len(m.out) == 0 {
		if m.at || m.ended {
			return 0, io.EOF
		}
		m.fill()
	}
	n := copy(p, m.out)
	m.out = m.out[n:]
	return n, nil
}

// fill reads one line, or a piece of a line that is longer than our buffer.
func (m *mailbox) fill() {
	line, err := m.in.ReadSlice('\n')
	whole := err == nil
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		m.ended = true
		if !errors.Is(err, io.EOF) {
			m.err = err
		}
	}
	starts := !m.mid
	m.mid = !whole
	if starts && m.blank && separatorRE.Match(line) {
		m.at, m.blank = true, false
		return
	}
	m.blank = starts && len(bytes.TrimRight(line, "\r\n")) == 0
	if starts && mungedRE.Match(line) {
		line = line[1:]
	}
	m.out = line
}
