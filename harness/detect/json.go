// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"encoding/json"
	"io"
	"time"
)

// JSONVersion is that of the output of bench detect --json: raised when a
// field changes its meaning or goes away. docs/json.md describes it.
const JSONVersion = 1

// A Host is what a benchmark ran on.
type Host struct {
	Cores int    `json:"cores"` // that we may use
	CPU   string `json:"cpu"`   // its model, "" if it doesn't say
	Jobs  int    `json:"jobs"`  // guests at a time
}

type tableJSON struct {
	Version  int       `json:"version"`
	Complete bool      `json:"complete"`
	Dir      string    `json:"dir"`
	Host     Host      `json:"host"`
	Budget   float64   `json:"budget_s"`
	Seeds    int       `json:"seeds"`
	First    int64     `json:"first_seed"`
	Rows     []rowJSON `json:"rows"`
	Shared   []Shared  `json:"shared"`
}

type rowJSON struct {
	Subject    string  `json:"subject"`
	Title      string  `json:"title"`
	Machine    string  `json:"machine"`
	By         string  `json:"by"`
	Suite      string  `json:"suite"`
	Silent     bool    `json:"silent"`
	Asked      int     `json:"asked"`
	Detected   int     `json:"detected"`
	Missed     int     `json:"missed"`
	Unknown    int     `json:"unknown"`
	Unmeasured int     `json:"unmeasured"`
	Expected   int     `json:"expected"`
	MedianS    float64 `json:"median_s"`
	MaxS       float64 `json:"max_s"`
	AgentMedS  float64 `json:"median_agent_s"`
	AgentMaxS  float64 `json:"max_agent_s"`
	Detectors  []Count `json:"detectors"`
	Titles     []Count `json:"titles"`
	First      []Count `json:"first_identities"`
	Identities []Count `json:"identities"`
	Known      []Count `json:"known"`
	Kernels    int     `json:"kernels"`
	Ops        int     `json:"ops_done"`
	Changed    int     `json:"changed"`
	Reached    int     `json:"reached"`
	Release    string  `json:"release"`
	QEMU       string  `json:"qemu"`
	Accel      string  `json:"accel"`
	Started    string  `json:"started"`
}

// WriteJSON writes a table as one JSON object on one line.
func WriteJSON(w io.Writer, t *Table, host Host, dir string) error {
	out := tableJSON{
		Version: JSONVersion, Complete: t.Complete(), Dir: dir, Host: host,
		Budget: seconds(t.Plan.Budget), Seeds: t.Plan.Seeds, First: t.Plan.First,
		Rows: []rowJSON{}, Shared: list(t.Shared),
	}
	for i := range t.Rows {
		out.Rows = append(out.Rows, newRowJSON(&t.Rows[i]))
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(out)
}

func newRowJSON(r *Row) rowJSON {
	expected, started := r.Expected, ""
	if !r.Subject.expects() {
		expected = -1
	}
	if !r.Started.IsZero() {
		started = r.Started.UTC().Format(time.RFC3339)
	}
	return rowJSON{
		Subject: r.Subject.Name, Title: r.Subject.Title, Machine: r.Machine, By: r.By, Suite: r.Suite, Silent: r.Silent,
		Asked: r.Asked, Detected: r.Detected, Missed: r.Missed, Unknown: r.Unknown, Unmeasured: r.Unmeasured, Expected: expected,
		MedianS: seconds(r.FromQEMU.Median), MaxS: seconds(r.FromQEMU.Max),
		AgentMedS: seconds(r.FromAgent.Median), AgentMaxS: seconds(r.FromAgent.Max),
		Detectors: list(r.Detectors), Titles: list(r.Titles), First: list(r.First), Identities: list(r.Seen), Known: list(r.Known),
		Kernels: r.Kernels, Ops: r.Ops, Changed: r.Changed, Reached: r.Reached, Release: r.Release, QEMU: r.QEMU, Accel: r.Accel, Started: started,
	}
}

// list makes nil an empty list, so that readers need no case for null.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
