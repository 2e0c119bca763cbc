// SPDX-License-Identifier: Apache-2.0

// Package verdict judges a recorded run. It is pure: a history and console
// bytes in, a verdict out, so a run can be judged again by a better judge.
package verdict

import (
	"time"

	"plugstorm/harness/calls"
	"plugstorm/harness/history"
	"plugstorm/harness/known"
	"plugstorm/harness/op"
	"plugstorm/harness/overlap"
	"plugstorm/harness/rules"
	"plugstorm/harness/splat"
)

// A Status is the answer. The zero Status means unknown.
type Status string

// The statuses, in the order in which they win: a finding stays a finding
// whatever else went wrong, and unknown never passes.
const (
	Found   Status = "finding"
	Unknown Status = "unknown"
	Clean   Status = "clean"
)

// ExitCode is the exit code that goes with the status.
func (s Status) ExitCode() int {
	switch s {
	case Clean:
		return 0
	case Found:
		return 1
	default:
		return 3
	}
}

// Merge combines the verdicts of several machines.
func Merge(all ...Status) Status {
	merged := Clean
	for _, s := range all {
		if s == Found {
			return Found
		}
		if s != Clean {
			merged = Unknown
		}
	}
	if len(all) == 0 {
		return Unknown
	}
	return merged
}

// A Verdict is what a run showed.
type Verdict struct {
	Status    Status             `json:"status"`
	Why       []string           `json:"why,omitempty"` // why it is unknown, or not better
	Findings  []Finding          `json:"findings"`
	Ops       map[string]*Counts `json:"ops"` // by kind
	Faults    []Fault            `json:"faults,omitempty"`
	Guests    []Guest            `json:"guests"`
	PerMinute []int              `json:"ops_per_minute"`      // finished steps in each minute of the storm
	Workloads map[string]uint64  `json:"workloads,omitempty"` // completed rounds, by name
	Refused   map[string]uint64  `json:"refused,omitempty"`   // rounds that the kernel said no to, by workload
	Rules     *rules.Tally       `json:"rules,omitempty"`     // nil: none were to be checked
	Calls     *calls.Tally       `json:"calls,omitempty"`     // nil: none were to fail
	Waits     *Waits             `json:"waits,omitempty"`     // nil: nobody looked for predicted deadlocks
	Reach     *Reach             `json:"reach,omitempty"`     // nil: nothing was patched
	Overlap   *overlap.Table     `json:"overlap"`             // which ops were under way at the same time
	Trend     *Trend             `json:"trend,omitempty"`     // nil: the run was too short for one
}

// A Finding is a complaint with its place in the run. Sightings with one
// identity are one finding.
type Finding struct {
	splat.Finding
	Known     string        `json:"known,omitempty"`  // ID of the known issue that it matches
	Reason    string        `json:"reason,omitempty"` // that explanation
	Slot      int           `json:"slot,omitempty"`   // in which of several it came first; see Join
	Slots     []int         `json:"slots,omitempty"`  // in which of them it came
	Guest     int           `json:"guest"`
	At        time.Duration `json:"at_ns"`       // since QEMU's start
	AtAgent   time.Duration `json:"at_agent_ns"` // since the agent's hello; negative while booting
	Steps     []string      `json:"steps"`       // what was going on
	Sightings int           `json:"sightings"`
}

// Counts are one kind of op's outcomes and the latencies of those done.
type Counts struct {
	Outcomes map[op.Outcome]int `json:"outcomes"`
	Median   time.Duration      `json:"median_ns"`
	Max      time.Duration      `json:"max_ns"`

	latencies []time.Duration
}

// A Fault is something that went wrong and isn't the kernel's fault.
type Fault struct {
	At    time.Duration `json:"at_ns"` // since the start of the run, or of its slot
	Slot  int           `json:"slot,omitempty"`
	Party string        `json:"party"`
	Text  string        `json:"text"`
	Next  string        `json:"next,omitempty"`
}

// A Guest is one guest of the run.
type Guest struct {
	Slot   int           `json:"slot,omitempty"`
	Number int           `json:"number"`
	Start  time.Duration `json:"start_ns"` // since the start of the run, or of its slot
	Boot   time.Duration `json:"boot_ns"`  // until the agent's hello; 0 when it never came
	// Restored says that it went on from a snapshot. Boot is then the time that
	// this took.
	Restored bool          `json:"restored,omitempty"`
	Snapshot []string      `json:"snapshot,omitempty"` // what became of snapshots: saved, thrown away, not used, and why
	Life     time.Duration `json:"life_ns"`
	Blind    time.Duration `json:"blind_ns,omitempty"` // how long it ran with lockdep off
	End      string        `json:"end"`

	Private   int64         `json:"private_bytes,omitempty"` // the most memory of the host that its QEMU was seen to have for itself alone; 0: unknown
	Waited    time.Duration `json:"waited_ns,omitempty"`     // for a seat in the pool, before Start
	WaitedFor string        `json:"waited_for,omitempty"`

	Widen []rules.Widening `json:"widen,omitempty"` // the delays that it ran with
}

// Input is what a judge looks at.
type Input struct {
	History  *history.History
	Consoles map[int][]byte // console logs by guest
	Known    *known.Set     // may be nil
}
