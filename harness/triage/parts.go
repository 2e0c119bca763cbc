// SPDX-License-Identifier: Apache-2.0

package triage

import (
	"fmt"
	"io"

	"plugstorm/harness/logs"
)

// ReadInput finds the complaints in all texts of an input: a log, packed or
// not, or mails. limit bounds what packed parts may unpack to, in bytes. The
// log comes with the error, and holds what could be read.
func ReadInput(file string, in io.Reader, limit int64) (*Log, error) {
	l := &Log{File: file, Findings: []Finding{}}
	var window []byte // of all parts: a mailbox has many, and most are short
	err := logs.Walk(in, limit, func(part string, text io.Reader) error {
		r := newReader(window)
		err := r.readAll(text)
		window = r.window
		l.add(part, r.found, r.dropped)
		return err
	})
	if err != nil {
		l.Error = err.Error()
		return l, fmt.Errorf("%s: %w", file, err)
	}
	return l, nil
}

// add adds what one part holds.
func (l *Log) add(part string, found []Finding, dropped int) {
	kept := min(len(found), 2*maxFindings-len(l.Findings))
	for i := range found[:kept] {
		found[i].Part = part
	}
	l.Findings = append(l.Findings, found[:kept]...)
	l.Dropped += dropped + len(found) - kept
}
