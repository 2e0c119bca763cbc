// SPDX-License-Identifier: Apache-2.0

// Package triage says what stands in logs that somebody has: it finds the
// complaints, with what a report about one needs to tell, and compares two
// logs. It is pure and streams: a log of any size takes bounded memory.
package triage

import (
	"plugstorm/harness/splat"
	"plugstorm/harness/symbols"
)

// A Finding is a complaint with its surroundings.
type Finding struct {
	splat.Finding
	Part     string `json:"part,omitempty"`     // the part of the input that it stands in, see package logs; Start and End count from that part's beginning
	Kernel   string `json:"kernel,omitempty"`   // the banner of its boot ("Linux version 6.12..."), or the release that the report names
	Hardware string `json:"hardware,omitempty"` // the machine, as the kernel names it
	// Places holds the source lines of its frames, innermost inlined function
	// first, by the frame as it is printed ("f+0x1/0x2 [mod]").
	Places    map[string][]Place `json:"places,omitempty"`
	Unlocated []string           `json:"unlocated,omitempty"` // which frames have no place, and why: sentences

	Lines []string `json:"-"` // its messages, prefixes stripped; nil when too much was found to keep them
}

// A Place is a line of source.
type Place = symbols.Place

// A Log is what one input holds.
type Log struct {
	File     string    `json:"file"` // the input as it was named
	Findings []Finding `json:"findings"`
	Dropped  int       `json:"dropped,omitempty"` // complaints beyond those that we keep
	Error    string    `json:"error,omitempty"`   // why it couldn't be read, or not to its end
}
