// SPDX-License-Identifier: Apache-2.0

// Package books holds what a kernel says of its memory, CPUs and nodes in one
// place against what it says in another, and against what is plugged. While
// nobody changes anything they agree; what disagrees then was left behind: a
// resource, a link, a thread, a bit of a mask. It is pure: what the guest and
// QEMU said in, complaints out.
package books

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"plugstorm/harness/agent"
	"plugstorm/harness/catalog"
)

// An Invariant is something that holds in every kernel whenever nobody changes
// its memory or CPUs.
type Invariant struct {
	Name   string
	Title  string // of a complaint, without numbers
	Doc    string
	Source string // which functions of the kernel make it so

	check func(*picture, complain)
}

// A complain function takes a complaint. Its kind tells complaints of one
// invariant apart and has no numbers, its subject tells what it is about.
type complain func(kind, subject, format string, args ...any)

// Invariants is the catalog of all.
var Invariants = catalog.New("invariant", func(i *Invariant) (string, string) { return i.Name, i.Doc })

// A Report is what was seen of a guest, several times in a row: only what every
// sample shows is true of the kernel and not of a moment between two of its
// writes.
type Report struct {
	// Quiet says that nobody changed anything meanwhile. Nothing is judged otherwise.
	Quiet bool `json:"quiet"`

	// BootBytes is how much memory the machine boots with, from address 0; 0 if
	// that isn't known.
	BootBytes uint64 `json:"boot_bytes"`

	Samples []Sample `json:"samples"`
}

// A Sample is one look.
type Sample struct {
	Guest agent.BooksReply `json:"guest"`
	QEMU  *Plugged         `json:"qemu,omitempty"` // after the guest; nil if it didn't say
}

// Plugged is what QEMU has.
type Plugged struct {
	Memory []Range `json:"memory"` // DIMMs
	VCPUs  int     `json:"vcpus"`
}

// A Range is a piece of guest-physical memory, in bytes.
type Range struct {
	Start uint64 `json:"start"`
	Size  uint64 `json:"size"`
}

// Read reads a report as a history holds it.
func Read(text []byte) (Report, error) {
	var r Report
	err := json.Unmarshal(text, &r)
	return r, err
}

// A Complaint is that an invariant doesn't hold.
type Complaint struct {
	Invariant *Invariant
	Kind      string
	Text      string // for people, with numbers, a line for each case
}

// Title says what is wrong, without numbers.
func (c Complaint) Title() string {
	if c.Kind == "" {
		return c.Invariant.Title
	}
	return c.Invariant.Title + ": " + c.Kind
}

// Identity is the same for every sighting of one bug.
func (c Complaint) Identity() string {
	id := "books: " + c.Invariant.Name
	if c.Kind != "" {
		id += ": " + c.Kind
	}
	return id
}

// A pick keys a case that samples may share.
type pick struct{ invariant, kind, subject string }

// Check lists what all samples of a report complain of, sorted. What can't be
// read is an error.
func Check(r Report) ([]Complaint, error) {
	if len(r.Samples) == 0 {
		return nil, errors.New("no sample of the books")
	}
	var shared map[pick]string
	for _, s := range r.Samples {
		p, err := newPicture(s, r.BootBytes)
		if err != nil {
			return nil, err
		}
		found := map[pick]string{}
		if r.Quiet && p.still() {
			found = p.judge()
		}
		if shared == nil {
			shared = found
		}
		maps.DeleteFunc(shared, func(key pick, _ string) bool { _, again := found[key]; return !again })
	}
	return gather(shared), nil
}

// judge asks all invariants.
func (p *picture) judge() map[pick]string {
	found := map[pick]string{}
	for _, i := range Invariants.All() {
		i.check(p, func(kind, subject, format string, args ...any) {
			found[pick{i.Name, kind, subject}] = fmt.Sprintf(format, args...)
		})
	}
	return found
}

// casesMax is how many cases of one complaint are spelled out.
const casesMax = 8

// gather makes one complaint of all cases with the same identity.
func gather(cases map[pick]string) []Complaint {
	texts := map[pick][]string{}
	for key, text := range cases {
		key.subject = ""
		texts[key] = append(texts[key], text)
	}
	var all []Complaint
	for key, lines := range texts {
		slices.Sort(lines)
		if more := len(lines) - casesMax; more > 0 {
			lines = append(lines[:casesMax], fmt.Sprintf("and %d more", more))
		}
		i, _ := Invariants.Get(key.invariant) // it was one of them
		all = append(all, Complaint{Invariant: i, Kind: key.kind, Text: strings.Join(lines, "\n")})
	}
	slices.SortFunc(all, func(a, b Complaint) int { return strings.Compare(a.Identity(), b.Identity()) })
	return all
}
