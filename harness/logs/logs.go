// SPDX-License-Identifier: Apache-2.0

// Package logs finds the console texts in what people have: a log as it is,
// packed with gzip or zstd, quoted in a mail, attached to one, in a mailbox.
// It looks at the content and never at the name, and it streams: what it keeps
// of an input is bounded, whatever the input is.
package logs

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"

	"plugstorm/harness/blame"
)

// Bounds on what an input can make us do.
const (
	// DefaultLimit is how many bytes an input may unpack to, all of its packed
	// parts together, if the caller has no other wish.
	DefaultLimit = 4 << 30

	maxDepth  = 8       // packings, mails and multiparts inside each other
	maxHeader = 1 << 20 // bytes of a mail's header
	maxParts  = 10_000  // parts of a multipart
	maxName   = 256     // bytes of an attachment's name, the last ones
	maxErrors = 100     // errors that are told; further ones are counted
	sniffed   = 64 << 10
)

// A Visit takes one text, which it need not read to its end. part says where in
// the input it stands ("mail 3: dmesg.txt"), "" for the input itself. text is
// valid until Visit returns. An error doesn't keep Walk from the next text.
type Visit func(part string, text io.Reader) error

// Walk calls visit for each text in the input, in order. A damaged part doesn't
// keep it from the ones behind; what is readable of it is visited. The error
// joins all that went wrong. limit bounds what packed parts may unpack to.
func Walk(in io.Reader, limit int64, visit Visit) error {
	w := &walker{left: limit, limit: limit, visit: visit}
	err := w.content("", in, 0)
	if err == nil && w.texts == 0 {
		err = blame.Errorf(blame.User, "save the console's text to a file and name that", "this mail has no part that is text or a log")
	}
	if more := w.errors - maxErrors; more > 0 {
		err = errors.Join(err, blame.Errorf(blame.User, "the mails are damaged; what comes before the damage was read", "%d more errors", more))
	}
	return err
}

type walker struct {
	left, limit int64 // of what may be unpacked, in bytes
	visit       Visit
	texts       int // visited
	errors      int // of parts behind which the walk went on
}

// note appends an error, nil apart, as long as there aren't too many.
func (w *walker) note(errs []error, err error) []error {
	if err == nil {
		return errs
	}
	if w.errors++; w.errors > maxErrors {
		return errs
	}
	return append(errs, err)
}

// text hands a text over.
func (w *walker) text(part string, r io.Reader) error {
	w.texts++
	return w.visit(part, r)
}

// content looks at what the bytes are.
func (w *walker) content(part string, in io.Reader, depth int) error {
	if depth > maxDepth {
		return blame.Errorf(blame.User, "unpack it yourself", "packed or attached more than %d levels deep", maxDepth)
	}
	r := bufio.NewReaderSize(in, sniffed)
	head, err := r.Peek(sniffed)
	if len(head) == 0 && err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, p := range packings {
		if bytes.HasPrefix(head, []byte(p.magic)) {
			return w.unpack(part, r, p, depth)
		}
	}
	switch {
	case separatorRE.Match(firstLine(head)):
		return w.mailbox(part, r, depth)
	case isMail(head):
		return w.mail(cmp.Or(part, "mail"), r, depth)
	}
	return w.text(part, r)
}

func firstLine(b []byte) []byte {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return line
}
