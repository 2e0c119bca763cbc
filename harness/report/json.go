// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"io"
	"maps"
	"strings"
	"time"

	"plugstorm/harness/calls"
	"plugstorm/harness/op"
	"plugstorm/harness/verdict"
	"plugstorm/harness/vm"
)

// JSONVersion is that of the output of --json: raised when a field changes its
// meaning or goes away, not when one is added. docs/json.md describes it.
const JSONVersion = 1

// JSON is the machine-readable report.
var JSON = Formats.Register(&Format{
	Name: "json",
	Doc:  "one JSON object, a versioned contract: docs/json.md",
	Write: func(w io.Writer, r *Run) error {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(newRunJSON(r))
	},
})

type runJSON struct {
	Version  int           `json:"version"`
	Status   string        `json:"status"`
	Suite    string        `json:"suite"`
	Seed     int64         `json:"seed"`
	Machines []machineJSON `json:"machines"`
	RunDir   string        `json:"run_dir"`
	Replay   string        `json:"replay"`
}

type machineJSON struct {
	Machine      string                        `json:"machine"`
	Status       string                        `json:"status"`
	Why          []string                      `json:"why"`
	Kernel       string                        `json:"kernel"`
	Release      string                        `json:"release"`
	Accel        string                        `json:"accel"`
	QEMU         string                        `json:"qemu"`
	Ops          map[string]map[op.Outcome]int `json:"ops"`
	OpsPerMinute []int                         `json:"ops_per_minute"`
	Workloads    map[string]uint64             `json:"workloads"`
	Refused      map[string]uint64             `json:"workloads_refused"`
	Findings     []findingJSON                 `json:"findings"`
	Faults       []faultJSON                   `json:"faults"`
	Rules        *rulesJSON                    `json:"rules,omitempty"`
	Calls        *calls.Tally                  `json:"calls,omitempty"`
	Waits        *waitsJSON                    `json:"waits,omitempty"`
	Reach        *reachJSON                    `json:"reach,omitempty"`
	Overlap      overlapJSON                   `json:"overlap"`
	Trend        *trendJSON                    `json:"trend,omitempty"`
	Guests       int                           `json:"guests"`
	Starts       []startJSON                   `json:"starts"`
	Slots        []slotJSON                    `json:"slots"`
	Omitted      []string                      `json:"omitted"`
	RunDir       string                        `json:"run_dir"`
	Replay       string                        `json:"replay"`
}

type findingJSON struct {
	Title     string   `json:"title"`
	Alt       []string `json:"alt"`
	Type      string   `json:"type"`
	Identity  string   `json:"identity"`
	Known     string   `json:"known"`
	AtS       float64  `json:"at_s"`
	AtAgentS  float64  `json:"at_agent_s"`
	Slot      int      `json:"slot"`
	Slots     []int    `json:"slots"`
	Guest     int      `json:"guest"`
	Sightings int      `json:"sightings"`
	Stack     []string `json:"stack"`
	Step      string   `json:"step"`
	Locks     []string `json:"locks"`
}

type startJSON struct {
	Slot       int      `json:"slot"`
	UpS        float64  `json:"up_s"`
	Restored   bool     `json:"restored"`
	Snapshot   []string `json:"snapshot"`
	WaitedS    float64  `json:"waited_s"`
	PrivateMiB int64    `json:"private_mib"`
}

type slotJSON struct {
	Slot   int      `json:"slot"`
	Seed   int64    `json:"seed"`
	Status string   `json:"status"`
	Why    []string `json:"why"`
	Guests int      `json:"guests"`
	RunDir string   `json:"run_dir"`
	Replay string   `json:"replay"`
}

type faultJSON struct {
	AtS   float64 `json:"at_s"`
	Slot  int     `json:"slot"`
	Party string  `json:"party"`
	Text  string  `json:"text"`
	Next  string  `json:"next"`
}

func newRunJSON(r *Run) runJSON {
	out := runJSON{
		Version: JSONVersion, Status: string(r.Status), Suite: r.Suite, Seed: r.Seed,
		Machines: []machineJSON{}, RunDir: r.Dir, Replay: vm.Shell(r.Replay...),
	}
	for _, m := range r.Machines {
		out.Machines = append(out.Machines, newMachineJSON(m))
	}
	return out
}

func newMachineJSON(m Machine) machineJSON {
	v := m.Verdict
	out := machineJSON{
		Machine: m.Case.Machine, Status: string(v.Status), Why: list(v.Why),
		Kernel: m.Case.Kernel.Name, Release: m.Case.Kernel.Release, Accel: m.Case.Accel, QEMU: m.Case.QEMU,
		Ops: map[string]map[op.Outcome]int{}, OpsPerMinute: list(v.PerMinute), Workloads: map[string]uint64{}, Refused: map[string]uint64{},
		Findings: []findingJSON{}, Faults: []faultJSON{}, Guests: len(v.Guests), Starts: []startJSON{}, Slots: []slotJSON{},
		Rules: newRulesJSON(v.Rules), Calls: v.Calls, Waits: newWaitsJSON(v.Waits), Reach: newReachJSON(v.Reach), Overlap: newOverlapJSON(v.Overlap), Trend: newTrendJSON(v.Trend), Omitted: list(m.Case.Kernel.Omitted), RunDir: m.Dir, Replay: vm.Shell(m.Replay...),
	}
	for kind, counts := range v.Ops {
		out.Ops[kind] = map[op.Outcome]int{}
		for _, o := range op.Outcomes {
			out.Ops[kind][o] = counts.Outcomes[o]
		}
	}
	maps.Copy(out.Workloads, v.Workloads)
	maps.Copy(out.Refused, v.Refused)
	for _, f := range v.Findings {
		out.Findings = append(out.Findings, newFindingJSON(f))
	}
	for _, g := range v.Guests {
		out.Starts = append(out.Starts, newStartJSON(g))
	}
	for _, f := range v.Faults {
		out.Faults = append(out.Faults, faultJSON{seconds(f.At), f.Slot, f.Party, f.Text, f.Next})
	}
	for _, s := range m.Slots {
		out.Slots = append(out.Slots, newSlotJSON(s))
	}
	return out
}

func newFindingJSON(f verdict.Finding) findingJSON {
	out := findingJSON{
		Title: f.Title, Alt: list(f.Alt), Type: f.Type, Identity: f.Identity, Known: f.Known,
		AtS: seconds(f.At), AtAgentS: seconds(f.AtAgent), Slot: f.Slot, Slots: list(f.Slots), Guest: f.Guest, Sightings: f.Sightings,
		Stack: list(f.Stack), Step: strings.Join(f.Steps, "; "), Locks: []string{},
	}
	if f.Locks != nil {
		out.Locks = list(f.Locks.Classes)
	}
	return out
}

func newStartJSON(g verdict.Guest) startJSON {
	return startJSON{
		Slot: g.Slot, UpS: seconds(g.Boot), Restored: g.Restored, Snapshot: list(g.Snapshot),
		WaitedS: seconds(g.Waited), PrivateMiB: g.Private >> 20,
	}
}

func newSlotJSON(s Slot) slotJSON {
	out := slotJSON{
		Slot: s.Number, Seed: s.Case.Seed, Status: string(s.Verdict.Status), Why: list(s.Verdict.Why),
		Guests: len(s.Verdict.Guests), RunDir: s.Dir,
	}
	if s.Dir != "" {
		out.Replay = vm.Shell(s.Replay...)
	}
	return out
}

// list makes nil an empty list, so that readers need no case for null.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
