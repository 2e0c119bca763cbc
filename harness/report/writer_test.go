// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"errors"
	"testing"

	"plugstorm/harness/report"
)

var errBroken = errors.New("broken pipe")

// A limited writer takes room bytes and then fails, for ever.
type limited struct {
	room   int
	failed int // how often
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.room)
	l.room -= n
	if n < len(p) {
		l.failed++
		return n, errBroken
	}
	return n, nil
}

// TestBrokenWriter breaks the writer after every byte: its error comes out,
// and nothing is written after it.
func TestBrokenWriter(t *testing.T) {
	for _, format := range report.Formats.All() {
		t.Run(format.Name, func(t *testing.T) {
			for _, s := range samples(t) {
				var whole bytes.Buffer
				if err := format.Write(&whole, s.run); err != nil {
					t.Fatal(err)
				}
				for room := 0; room < whole.Len(); room += 1 + room/20 {
					w := &limited{room: room}
					if err := format.Write(w, s.run); !errors.Is(err, errBroken) || w.failed != 1 {
						t.Fatalf("%s: broken after %d of %d bytes: %v, written to %d times after that", s.path, room, whole.Len(), err, w.failed-1)
					}
				}
			}
		})
	}
}

// TestSameTwice: maps have no order, reports do.
func TestSameTwice(t *testing.T) {
	for _, format := range report.Formats.All() {
		for _, s := range samples(t) {
			var first bytes.Buffer
			if err := format.Write(&first, s.run); err != nil {
				t.Fatal(err)
			}
			for range 20 {
				var again bytes.Buffer
				if err := format.Write(&again, s.run); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(first.Bytes(), again.Bytes()) {
					t.Fatalf("%s of %s:\n%s\n%s", format.Name, s.path, &first, &again)
				}
			}
		}
	}
}
