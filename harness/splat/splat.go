// SPDX-License-Identifier: Apache-2.0

// Package splat finds kernel complaints in console output: lockdep reports,
// warnings, oopses, hung tasks, stalls, lockups, panics. It is pure: bytes
// in, findings out, no clock and no VM.
//
// A Scanner reads bytes as they come. One pass of a multi-string search
// (filter.go) passes over ordinary lines; a line that holds an anchor of a
// Detector and that the detector takes as a first line opens a Report. The
// report then collects the lines of the same printk caller (line.go) until
// they stop looking like one (report.go), and the detector reads it: a title
// in syzbot's vocabulary, a stack, and an identity.
package splat

import (
	"plugstorm/harness/lockdep"
	"plugstorm/harness/waitfor"
)

// A Finding is one complaint of the kernel, or of the harness about it.
type Finding struct {
	Title     string   `json:"title"`               // syzbot's vocabulary: "possible deadlock in X", "WARNING in X"
	Alt       []string `json:"alt,omitempty"`       // further titles it may be known by
	Type      string   `json:"type"`                // LOCKDEP, WARNING, BUG, HANG, ...: see the constants; empty when syzbot has no class for it
	Detector  string   `json:"detector"`            // name of the detector that found it
	Identity  string   `json:"identity"`            // the same for every sighting of one bug, see each detector's Doc
	Stack     []string `json:"stack"`               // function names without offsets, innermost first, plumbing included
	Corrupted bool     `json:"corrupted,omitempty"` // the report is cut or mixed with other output

	Task string `json:"task,omitempty"` // "comm/pid" of the task it is about, as far as the report says
	CPU  int    `json:"cpu"`            // the CPU that it happened on, -1 when the report doesn't say

	// Text is what the harness says of its own findings; of a complaint on the
	// console it is empty, see Excerpt.
	Text string `json:"text,omitempty"`

	Start int64 `json:"start"` // offset of the first byte in the input
	End   int64 `json:"end"`   // offset behind the last byte

	Locks  *lockdep.Report `json:"locks,omitempty"`  // for lockdep's family
	Access *Access         `json:"access,omitempty"` // for page faults

	// Waits is the hang that the task is part of, for hangs whose log shows who
	// waits for whom, and Explain says the same in a sentence; see Explain.
	Waits   *waitfor.Graph `json:"waits,omitempty"`
	Explain string         `json:"explain,omitempty"`

	// Blinds says that the kernel has stopped checking locks with this report
	// (lockdep switches itself off after its first one, and after any oops).
	Blinds bool `json:"blinds,omitempty"`
	// Fatal says that the kernel doesn't go on usefully after it (oops, panic, lockup).
	Fatal bool `json:"fatal,omitempty"`
}

// The types, in the vocabulary of syzbot's corpus.
const (
	TypeLockdep    = "LOCKDEP"
	TypeHang       = "HANG"
	TypeWarning    = "WARNING"
	TypeBug        = "BUG"
	TypeDoS        = "DoS" // a trap or panic that only denies service
	TypeAtomic     = "ATOMIC_SLEEP"
	TypeMemory     = "MEMORY_SAFETY_BUG"
	TypeNull       = "NULL-POINTER-DEREFERENCE"
	TypeRefcount   = "REFCOUNT_WARNING"
	TypeUBSAN      = "UBSAN"
	TypeUBSANBound = "MEMORY_SAFETY_UBSAN"
	TypeLeak       = "LEAK"
	TypeDataRace   = "KCSAN-DATARACE"
	TypeRaceAssert = "KCSAN-ASSERT"
	TypeReboot     = "REBOOT"
	TypeNone       = "" // syzbot has no class for it
)

// Types of our own.
const (
	// TypeLostSight is no defect of the kernel: lockdep ran out of one of its
	// tables and switched itself off.
	TypeLostSight = "LOST_SIGHT"
	// TypeLockRule is a locking rule broken, as our own rule checker module says.
	TypeLockRule = "LOCKRULE"
	// TypeZone is a zone that doesn't fit the memory that is in it.
	TypeZone = "ZONE"

	// TypeBooks is something that was left behind: two things that the kernel
	// says at once can't both be true.
	TypeBooks = "BOOKS"
	// TypeWaitCycle is a deadlock that didn't happen: what was seen at different
	// times adds up to it.
	TypeWaitCycle = "WAITCYCLE"
)
