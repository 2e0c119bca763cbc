// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"

	"plugstorm/harness/catalog"
)

// Params are a workload instance's settings. Every workload reads Rate,
// Threads and Seed; what else it reads stands in its own Doc.
type Params struct {
	Seed    int64            `json:"seed"`
	Rate    int              `json:"rate"`    // rounds per second and thread, 0 for as fast as it goes
	Threads int              `json:"threads"` // 0 means the workload's own default
	Options map[string]int64 `json:"options,omitempty"`
}

// Option returns a named option, or def when it isn't set.
func (p Params) Option(name string, def int64) int64 {
	if v, ok := p.Options[name]; ok {
		return v
	}
	return def
}

// A Meter counts what a workload does. It is safe for concurrent use.
type Meter interface {
	Done()             // a round was completed
	Refused(err error) // the kernel legitimately said no
}

// A Workload hammers the kernel from inside the guest. It runs in a process
// of its own, never in PID 1, so it may be killed, run out of memory, or stick
// in an uninterruptible system call without taking the agent along.
type Workload struct {
	Name, Doc string
	Modules   []string         // kernel modules of ours it needs, without ".ko"; none means that it runs on any kernel
	Options   map[string]int64 // the options it reads, with their defaults

	// Touches are the files, directories and functions of the kernel's source that
	// its rounds are about, as package focus reads them, the nearest first. Not all
	// that runs: everybody allocates.
	Touches []string

	// Run works until ctx ends and then cleans up after itself. An error
	// means that the workload can't go on, not that the kernel refused a round.
	Run func(ctx context.Context, p Params, m Meter) error
}

// Workloads is the catalog of all workloads.
var Workloads = catalog.New("workload", func(w *Workload) (string, string) { return w.Name, w.Doc })
