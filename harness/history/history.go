// SPDX-License-Identifier: Apache-2.0

// Package history is the append-only record of a run: everything that was
// done and everything that happened, on one clock. Judges read it; nothing
// else decides a verdict.
//
// A history is a file of JSON lines. The console's bytes are not repeated in
// it: they are in the guest's console.log, and marks say when which byte came.
package history

import (
	"time"

	"plugstorm/harness/calls"
	"plugstorm/harness/focus"
	"plugstorm/harness/op"
	"plugstorm/harness/rules"
	"plugstorm/harness/schedule"
)

// Version is that of the event format. It is raised when a judge of the old
// one would misread the new one.
const Version = 1

// A Type says what an event is about.
type Type string

// The types of events, and which fields of Event they fill.
const (
	RunStart   Type = "run-start"   // Case
	GuestStart Type = "guest-start" // Guest, Part, KernelArgs, Restored, Text: the snapshot; QEMU was started; a second one of a guest: the restore failed and it boots
	Snapshot   Type = "snapshot"    // Guest, Text: what became of snapshots
	AgentUp    Type = "agent-up"    // Guest, Slowness, Text: what the agent said of itself
	Console    Type = "console"     // Guest, Offset: the console byte there came now, as did those up to the next mark, give or take 20 ms
	StepBegin  Type = "step-begin"  // Guest, Seq, Step; its Meet as it came about
	StepEnd    Type = "step-end"    // Guest, Seq, Outcome, Text: why; Calls
	Complaint  Type = "complaint"   // Guest, Text: title; the live scanner saw one, the judge looks for itself
	Blind      Type = "blind"       // Guest, Text: from here on lockdep checks nothing in this guest
	Silent     Type = "silent"      // Guest, Text: QEMU runs, and neither console nor agent show life
	Stuck      Type = "stuck"       // Guest, Stuck, Text: tasks don't go on, and no time will change that
	Wait       Type = "wait"        // Guest, Waited, Text: why; the guest was not started before, for it would have been one too many
	Host       Type = "host"        // Guest, Starved: how the host has treated QEMU since the last such event; CPUs, Private, Controller, ControllerCPU
	Workload   Type = "workload"    // Guest, Text: a workload ended by itself, or what it did
	Zones      Type = "zones"       // Guest, Text: a zones.Report in JSON
	Books      Type = "books"       // Guest, Text: a books.Report in JSON
	Waits      Type = "waits"       // Guest, Text: a waitgraph.Record in JSON; a later one holds all that an earlier one does
	Rules      Type = "rules"       // Guest, Rules: what came of the rule checker, when it was loaded and at the guest's end
	GuestEnd   Type = "guest-end"   // Guest, Text: reason, Exit
	Fault      Type = "fault"       // Guest, Text, Party: something that isn't the kernel's went wrong
	RunEnd     Type = "run-end"     // the run came to its planned end
)

// An Event is one line of a history.
type Event struct {
	At    time.Duration `json:"at_ns"` // since the start of the run
	Type  Type          `json:"type"`
	Guest int           `json:"guest,omitempty"` // which guest of the run, from 1
	Seq   int           `json:"seq,omitempty"`   // which step of the run, from 1

	Step    *schedule.Step `json:"step,omitempty"`
	Setup   bool           `json:"setup,omitempty"` // the step brings a fresh guest to where the last one was
	Outcome op.Outcome     `json:"outcome,omitempty"`
	Calls   []calls.Report `json:"calls,omitempty"` // that were to fail in the course of the step

	Restored bool `json:"restored,omitempty"` // the guest goes on from a snapshot instead of booting
	Disowned bool `json:"disowned,omitempty"` // of Snapshot: what the guest went on from was damaged, so nothing that it shows counts

	Part string `json:"part,omitempty"` // the suite, or which of the suites that it is made of

	// KernelArgs are the guest's kernel arguments beyond the machine's.
	KernelArgs []string `json:"kernel_args,omitempty"`

	Slowness float64 `json:"slowness,omitempty"` // what the guest's deadlines are stretched by at first

	Offset int64 `json:"offset,omitempty"`

	// Starved is the share of the time in which QEMU wanted a CPU of the host
	// and got none, 0 to 1.
	Starved float64 `json:"starved,omitempty"`

	// CPUs is on how many CPUs of the host QEMU ran on average, in the same time.
	CPUs float64 `json:"cpus,omitempty"`

	Private int64         `json:"private_bytes,omitempty"` // memory of the host that QEMU has for itself alone
	Waited  time.Duration `json:"waited_ns,omitempty"`     // for a seat in the pool

	// What the controller has: resident memory, and the CPU time that it has taken
	// since its start. All guests of all slots share it.
	Controller    int64         `json:"controller_bytes,omitempty"`
	ControllerCPU time.Duration `json:"controller_cpu_ns,omitempty"`

	Text     string `json:"text,omitempty"`
	Party    string `json:"party,omitempty"`    // blame.Party
	Shutdown string `json:"shutdown,omitempty"` // of GuestEnd: the reason in QEMU's SHUTDOWN event ("guest-reset", ...)
	Next     string `json:"next,omitempty"`     // what to do about it
	Case     *Case  `json:"case,omitempty"`

	Rules *RuleCheck `json:"rules,omitempty"`
	Stuck *Tasks     `json:"stuck,omitempty"`
}

// Tasks are some that were blocked and did not run for a moment in all of For.
type Tasks struct {
	PIDs []int         `json:"pids"`
	For  time.Duration `json:"for_ns"`

	// From and To are the part of the console on which the kernel, asked while
	// they stood still, shows them and all locks. Both are 0 if it wasn't: then
	// nobody asked anything else of the guest in all of For.
	From int64 `json:"from,omitempty"`
	To   int64 `json:"to,omitempty"`
}

// A Case is what a run was asked to do, and on what.
type Case struct {
	Version  int           `json:"version"`
	Machine  string        `json:"machine"`
	Suite    string        `json:"suite"`
	Seed     int64         `json:"seed"`
	Duration time.Duration `json:"duration_ns"`
	Accel    string        `json:"accel"`
	QEMU     string        `json:"qemu"` // version
	Kernel   Kernel        `json:"kernel"`
	Started  time.Time     `json:"started"`
	Command  []string      `json:"command"`             // what reproduces the run, as words
	ReplayOf string        `json:"replay_of,omitempty"` // the directory whose schedule this is
	VMs      int           `json:"vms,omitempty"`       // guests at a time in the whole run; 0: one
	Slot     int           `json:"slot,omitempty"`      // which of those that the machine runs at once, from 1; 0: it runs one
	Slots    int           `json:"slots,omitempty"`     // how many these are; 0: one
	Cold     bool          `json:"cold,omitempty"`      // all guests were to boot; else which did is in their GuestStart

	Focus []focus.Place `json:"focus,omitempty"` // which steps and turns were drawn toward (schedule.Toward); nil for none

	Changed []focus.Place `json:"changed,omitempty"` // what patches and plants change; of its functions the rule checker counts the calls

	OwnCalls []string `json:"own_calls,omitempty"` // that functions of the focus make themselves and that were to fail, as calls.Site names them

	Rules *RuleText            `json:"rules,omitempty"` // nil: none were checked
	Lanes []schedule.LaneKinds `json:"lanes,omitempty"` // what the lanes can do on this machine; nil in old records

	Widen []rules.Widening `json:"widen,omitempty"` // delays of every guest, besides those that the suite draws
}

// A RuleText is the rules that were checked, whole: a file may change.
type RuleText struct {
	Name string `json:"name"` // as --rules takes it
	Text string `json:"text"`
}

// A RuleCheck says what became of the rule checker in a guest.
type RuleCheck struct {
	Why    string           `json:"why,omitempty"`    // why it isn't there, or doesn't answer
	Widen  []rules.Widening `json:"widen,omitempty"`  // when it was loaded: the guest's delays
	Status *rules.Status    `json:"status,omitempty"` // at the guest's end
}

// A Kernel says what was tested.
type Kernel struct {
	Name      string   `json:"name"` // "6.12.117 +s0a"
	Release   string   `json:"release"`
	Key       string   `json:"key"`
	Image     string   `json:"image"`
	Initramfs string   `json:"initramfs"`
	Prebuilt  bool     `json:"prebuilt,omitempty"`
	Omitted   []string `json:"omitted,omitempty"`
}
