// SPDX-License-Identifier: Apache-2.0

// Package speed counts what a speed benchmark has measured into tables: medians,
// and ratios between what was measured side by side. It is pure: samples are
// recorded as they come, one a line, and a table is made of what is recorded.
package speed

import (
	"bytes"
	"encoding/json"

	"plugstorm/harness/blame"
)

// Version is that of the format of samples.
const Version = 1

// A Sample is what one repetition of one thing showed: a line of
// samples.ndjson.
type Sample struct {
	Version int    `json:"version"`
	Part    string `json:"part"`           // Name of a Part
	Machine string `json:"machine"`        // "" where it doesn't matter
	What    string `json:"what"`           // one of the part's
	Size    int    `json:"size,omitempty"` // guests, slots, minutes, see Part.Size; 0 where nothing grows
	Rep     int    `json:"rep"`            // from 1: those of one repetition were measured one after the other

	// Values are by the names of the part's measures. Empty if it failed, or
	// can't be measured.
	Values map[string]float64 `json:"values"`
	Note   string             `json:"note,omitempty"` // why there are no values
	Failed bool               `json:"failed,omitempty"`

	Load     float64 `json:"load"`     // runnable tasks of the host, a minute's mean, after it; 0: unknown
	Pressure float64 `json:"pressure"` // share of the last 10 s in which somebody waited for a CPU, in %, after it; 0 may be unknown
}

// A Part is one thing that is measured, in several ways.
type Part struct {
	Name     string
	Doc      string
	Size     string // what grows: "guests"; "" for nothing
	What     []string
	Measures []Measure // the first one is what ratios are of
	Ratios   []Ratio
	Growth   bool // each size is compared with the least one, too
}

// A Measure is something that is measured, with its unit.
type Measure struct{ Name, Unit, Doc string }

// A Ratio compares two ways: the median over repetitions of Of's first measure
// by By's in the same repetition, of one size.
type Ratio struct{ Of, By string }

// The ways in which something is measured.
const (
	BareBoot      = "bare QEMU, boot"
	BareRestore   = "bare QEMU, restore"
	Cold          = "plugstorm --cold"
	Snapshot      = "plugstorm, snapshot"
	BareLoop      = "bare QMP loop"
	Paced         = "plugstorm, pace"
	Stormed       = "plugstorm, storm"
	BareTogether  = "bare QMP loops"
	Together      = "plugstorm, storm, --vms"
	TogetherPaced = "plugstorm, pace, --vms"
	Guest         = "guest"
	Judge         = "plugstorm judge"
)

// Measures of several parts.
var (
	cpus            = Measure{"cpus", "", "CPUs of the host that one guest's QEMU ran on"}
	controllerPerOp = Measure{"controller_ms", "ms", "CPU time of the controller by the ops that were done"}
)

// Parts are all parts, in the order in which they are measured.
var Parts = []Part{
	{
		Name: "start", Doc: "from the process's start to a running guest, and to the first op",
		What:     []string{BareBoot, BareRestore, Cold, Snapshot},
		Measures: []Measure{{"start_s", "s", "bare QEMU: until the guest runs, and is up if it boots; plugstorm: until the first op is injected"}, {"hotplug_s", "s", "until the first op of a hotplug lane"}, {"command_s", "s", "until the run begins"}, {"guest_s", "s", "from there until the agent is up"}},
		Ratios:   []Ratio{{Cold, Snapshot}, {Snapshot, BareRestore}, {Cold, BareBoot}},
	},
	{
		Name: "cycles", Doc: "DIMM add+remove cycles, by QMP alone and by plugstorm",
		What:     []string{BareLoop, Paced, Stormed},
		Measures: []Measure{{"units_per_s", "1/s", "memory that went in and out, half of it for each way, in units of a DIMM: the bare loop's has one, a storm's up to four"}, {"cycles_per_s", "1/s", "DIMMs that went in and out, half of one for each way"}, {"ops_per_s", "1/s", "ops that were done, of any kind"}, cpus, controllerPerOp},
		Ratios:   []Ratio{{Paced, BareLoop}, {Stormed, BareLoop}},
	},
	{
		Name: "guests", Doc: "several guests at once: bare QMP loops, and a suite under one controller", Size: "guests",
		What:     []string{BareTogether, TogetherPaced, Together},
		Measures: []Measure{{"ops_per_s", "1/s", "ops that were done, all guests together, in the time in which all of them were at it; in all of the time if there was none"}, cpus, {"start_s", "s", "until the last guest's first op"}, {"qemu_mib", "MiB", "resident memory of one QEMU, the mean of the most of each"}, {"private_mib", "MiB", "of which nobody else has it"}, {"controller_mib", "MiB", "resident memory of the controller, at most"}, controllerPerOp},
		Ratios:   []Ratio{{TogetherPaced, BareTogether}},
		Growth:   true,
	},
	{
		Name: "slots", Doc: "DIMM slots, all but one of them full", Size: "slots",
		What:     []string{Guest},
		Measures: []Measure{{"cycle_s", "s", "add and remove of the last DIMM"}, {"start_s", "s", "boot of the guest, with all of its slots empty"}, {"fill_s", "s", "add of one DIMM, the mean of all others"}},
	},
	{
		Name: "history", Doc: "length of a run, whose record is judged", Size: "minutes",
		What:     []string{Judge},
		Measures: []Measure{{"judge_s", "s", "plugstorm judge"}, {"judge_mib", "MiB", "its resident memory, at most"}, {"record_mib", "MiB", "history and console"}, {"events", "", "events of the history"}},
	},
}

// PartNames lists them.
func PartNames() []string {
	var names []string
	for _, p := range Parts {
		names = append(names, p.Name)
	}
	return names
}

// ParseSamples reads the lines of samples.ndjson. What is behind the last line
// end was being written when we were killed, and is left out.
func ParseSamples(data []byte) ([]Sample, error) {
	var all []Sample
	for n := 1; ; n++ {
		line, rest, ok := bytes.Cut(data, []byte{'\n'})
		if !ok {
			return all, nil
		}
		data = rest
		var s Sample
		if err := json.Unmarshal(line, &s); err != nil {
			return nil, blame.Errorf(blame.User, "was it damaged?", "line %d: %w", n, err)
		}
		if s.Version != Version {
			return nil, blame.Errorf(blame.User, "use the plugstorm that wrote it", "line %d: samples of format %d, this plugstorm reads %d", n, s.Version, Version)
		}
		all = append(all, s)
	}
}
