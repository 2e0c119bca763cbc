// SPDX-License-Identifier: Apache-2.0

// Package report turns verdicts into what people and programs read, a format
// a file.
package report

import (
	"io"
	"time"

	"plugstorm/harness/catalog"
	"plugstorm/harness/history"
	"plugstorm/harness/verdict"
)

// A Run is everything a report can tell: one machine or several.
type Run struct {
	Status   verdict.Status
	Suite    string
	Seed     int64
	Duration time.Duration // of each machine's storm
	Dir      string        // the run directory
	Replay   []string      // the command that repeats the whole run, as words
	Machines []Machine
}

// A Machine is one machine's part of a run.
type Machine struct {
	Case    history.Case
	Verdict *verdict.Verdict
	Dir     string
	Replay  []string
	Slots   []Slot // where several guests ran at once; empty otherwise
}

// A Slot is one of the runs that a machine had going at once.
type Slot struct {
	Number  int // from 1
	Case    history.Case
	Verdict *verdict.Verdict // its own
	Dir     string           // "" if it left no record
	Replay  []string         // of it alone
}

// A Format writes a Run.
type Format struct {
	Name, Doc string
	Write     func(io.Writer, *Run) error
}

// Formats is the catalog of all formats.
var Formats = catalog.New("report format", func(f *Format) (string, string) { return f.Name, f.Doc })
