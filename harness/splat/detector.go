// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"strings"
	"sync"

	"plugstorm/harness/catalog"
)

// A Detector knows one family of complaints. Each lives in a file of its own
// and has golden files in testdata/NAME/.
type Detector struct {
	Name string
	Doc  string // what it finds, who prints it, and what the identity is made of

	// Anchors are strings, at least minAnchor bytes long, one of which stands
	// in every first line. They are what ordinary lines are rejected by.
	Anchors []string
	// Begins reports whether a message (a line without its prefix) is the
	// first line of a complaint of this family. At most one detector that
	// isn't a fallback begins with any given message.
	Begins func(message string) bool
	// Fallback detectors are asked only when no other detector begins.
	Fallback bool
	// Sequel reports whether the message, arriving inside the report of
	// another complaint, is only a part of that. Nil means never.
	Sequel func(first *Report, message string) bool
	// Prelude detectors announce another complaint: when that one comes, from
	// the same source and before any stack, it takes the report over.
	Prelude bool
	// Closes reports whether a line that isn't the first one is the last line
	// of the report. Nil means that only the general shape decides.
	Closes func(r *Report, message string) bool

	// Read fills in what the report says: Title, Type, Stack, and so on. What
	// it leaves empty is filled by Report.finish.
	Read func(r *Report, f *Finding)
}

// Detectors is the catalog of all detectors.
var Detectors = catalog.New("detector", func(d *Detector) (string, string) { return d.Name, d.Doc })

func register(d *Detector) *Detector { return Detectors.Register(d) }

// A roster is the catalog prepared for scanning.
type roster struct {
	filter    *filter
	detectors []*Detector // fallbacks last
}

// rosterOf is built on first use, when all detectors have registered.
var rosterOf = sync.OnceValue(func() *roster {
	r := &roster{}
	var anchors []string
	for _, fallback := range []bool{false, true} {
		for _, d := range Detectors.All() {
			if d.Fallback == fallback {
				r.detectors = append(r.detectors, d)
				anchors = append(anchors, d.Anchors...)
			}
		}
	}
	r.filter = newFilter(anchors)
	return r
})

// beginning returns the detector whose first line the message is, or nil. A
// cut message (the input ended within it) begins nothing that only a fallback
// would take: the rest of the line might have said that it is harmless.
func (r *roster) beginning(message string, cut bool) *Detector {
	for _, d := range r.detectors {
		if cut && d.Fallback {
			return nil
		}
		if containsAny(message, d.Anchors) && d.Begins(message) {
			return d
		}
	}
	return nil
}

func containsAny(s string, subs []string) bool {
	for _, sub := range subs {
		if strings.Contains(s, sub) {
			return true
		}
	}
	return false
}

func hasAnyPrefix(s string, prefixes []string) bool { return prefixOf(s, prefixes) != "" }

// prefixOf returns the first of the prefixes that s begins with, or "".
func prefixOf(s string, prefixes []string) string {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return p
		}
	}
	return ""
}
