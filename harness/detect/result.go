// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/verdict"
)

// Version is that of the format of results.
const Version = 1

// A Result is what one run of a cell showed: one line of results.ndjson.
type Result struct {
	Version int            `json:"version"`
	Subject string         `json:"subject"`
	Machine string         `json:"machine"`
	By      string         `json:"by"`
	Suite   string         `json:"suite"`
	Seed    int64          `json:"seed"`
	Budget  time.Duration  `json:"budget_ns"`
	Status  verdict.Status `json:"status"`
	Why     []string       `json:"why,omitempty"`
	Dir     string         `json:"dir"` // of the run, below the benchmark's
	Kernel  string         `json:"kernel"`
	Release string         `json:"release"`
	Key     string         `json:"key"` // of the kernel
	QEMU    string         `json:"qemu"`
	Accel   string         `json:"accel"`
	Started time.Time      `json:"started"`
	Guests  int            `json:"guests"`
	Done    int            `json:"ops_done"`
	Known   []string       `json:"known,omitempty"` // the known issues that it met
	Reach   *verdict.Reach `json:"reach,omitempty"` // nil in results of old, and of kernels without a patch

	// Findings are those that no known issue explains, as they came. Their
	// times count from the first guest of the run, whichever they came in.
	Findings []verdict.Finding `json:"findings"`
}

// NewResult makes a Result of a judged run.
func NewResult(c Cell, run history.Case, v *verdict.Verdict, dir string) Result {
	r := Result{
		Version: Version, Subject: c.Subject.Name, Machine: c.Machine, By: c.By, Suite: c.Suite,
		Seed: run.Seed, Budget: run.Duration, Status: v.Status, Why: v.Why, Dir: dir,
		Kernel: run.Kernel.Name, Release: run.Kernel.Release, Key: run.Kernel.Key,
		QEMU: run.QEMU, Accel: run.Accel, Started: run.Started, Guests: len(v.Guests),
		Findings: []verdict.Finding{}, Reach: v.Reach,
	}
	for _, counts := range v.Ops {
		r.Done += counts.Outcomes[op.Done]
	}
	for _, f := range v.Findings {
		if f.Known != "" {
			r.Known = append(r.Known, f.Known)
			continue
		}
		f.Finding = slim(f.Finding)
		r.Findings = append(r.Findings, fromFirstGuest(f, v.Guests))
	}
	slices.SortStableFunc(r.Findings, func(a, b verdict.Finding) int { return cmp.Compare(a.At, b.At) })
	return r
}

// fromFirstGuest counts a finding's times from the start of the first guest
// and from its agent's. One that never came up leaves the finding's own.
func fromFirstGuest(f verdict.Finding, guests []verdict.Guest) verdict.Finding {
	i := slices.IndexFunc(guests, func(g verdict.Guest) bool { return g.Number == f.Guest })
	if i <= 0 {
		return f
	}
	f.At += guests[i].Start - guests[0].Start
	if guests[0].Boot != 0 {
		f.AtAgent = f.At - guests[0].Boot
	}
	return f
}

// First is the finding that ended the run; nil if there is none.
func (r *Result) First() *verdict.Finding {
	if r.Status != verdict.Found || len(r.Findings) == 0 {
		return nil
	}
	return &r.Findings[0]
}

// Expected reports whether the right finding is among the run's. The one that
// came first need not be it: one bug may have several complaints to offer.
func (r *Result) Expected(s *Subject) bool {
	return slices.ContainsFunc(r.Findings, func(f verdict.Finding) bool {
		return slices.ContainsFunc(s.Match, func(m *Matcher) bool { return m.matches(f.Finding) })
	})
}

// ParseResults reads the lines of results.ndjson. whole is how many bytes of
// it are complete lines: what is behind was being written when we were killed.
func ParseResults(data []byte) (results []Result, whole int, err error) {
	for n := 1; ; n++ {
		line, _, ok := bytes.Cut(data[whole:], []byte{'\n'})
		if !ok {
			return results, whole, nil
		}
		var r Result
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, whole, blame.Errorf(blame.User, "was it damaged?", "line %d: %w", n, err)
		}
		if r.Version != Version {
			return nil, whole, blame.Errorf(blame.User, "use the plugstorm that wrote it", "line %d: results of format %d, this plugstorm reads %d", n, r.Version, Version)
		}
		results = append(results, r)
		whole += len(line) + 1
	}
}

// Measured finds the result of a cell's run: the first one that isn't unknown,
// else the last one. nil if there is none.
func (p *Plan) Measured(c Cell, seed int64, results []Result) *Result {
	var last *Result
	for i := range results {
		r := &results[i]
		if r.Subject != c.Subject.Name || r.Machine != c.Machine || r.By != c.By || r.Suite != c.Suite || r.Seed != seed || r.Budget != p.Budget {
			continue
		}
		if r.Told() {
			return r
		}
		last = r
	}
	return last
}

// Told reports whether the run told something: unknown is neither a detection
// nor a miss.
func (r *Result) Told() bool { return r.Status == verdict.Found || r.Status == verdict.Clean }
