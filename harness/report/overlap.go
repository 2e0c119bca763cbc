// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"

	"plugstorm/harness/overlap"
)

// overlapShown is how many pairs the text shows, and how many of those that
// never overlapped.
const (
	overlapShown = 6
	neverShown   = 12
)

// overlap writes which ops were under way at the same time: the most frequent
// pairs, and the ones that are missing. verdict.json has them all.
func (t *text) overlap(table *overlap.Table) {
	if table == nil || table.Storm == 0 {
		return
	}
	line := fmt.Sprintf("%d of two steps, %.1f a second, %d that began within %s; %.1f different pairs of ops in a second",
		table.Count, table.PerSecond(), table.Close, overlap.CloseTo, table.PairsPerSecond())
	if m := table.Meets; m.Planned > 0 {
		line += fmt.Sprintf("; of %d planned meetings %d came about, %d overlapped", m.Planned, m.Met, m.Overlapped)
	}
	t.prose("overlap ", line)
	var pairs, never []string
	for _, p := range table.Pairs {
		pairs = append(pairs, fmt.Sprintf("%s+%s %d", p.Pair[0], p.Pair[1], p.Count.Count))
	}
	for _, p := range table.Never {
		never = append(never, p[0]+"+"+p[1])
	}
	t.some("        ", pairs, overlapShown)
	t.some("        never: ", never, neverShown)
}

// some writes the first n of a list, and how many there are besides.
func (t *text) some(label string, words []string, n int) {
	var shown []string
	for i, word := range words {
		if i == n {
			shown = append(shown, fmt.Sprintf("and %d more", len(words)-n))
			break
		}
		if i < min(n, len(words))-1 {
			word += ","
		}
		shown = append(shown, word)
	}
	if len(shown) > 0 {
		t.list(label, shown)
	}
}

type overlapJSON struct {
	StormS        float64               `json:"storm_s"`
	Count         int                   `json:"count"`
	Close         int                   `json:"close"`
	PerS          float64               `json:"per_s"`
	PairsPerS     float64               `json:"pairs_per_s"`
	Pairs         []overlapPairJSON     `json:"pairs"`
	Never         [][]string            `json:"never"`
	Workloads     []overlapWorkloadJSON `json:"workloads"`
	Planned       int                   `json:"planned"`
	Met           int                   `json:"met"`
	MetOverlapped int                   `json:"met_overlapped"`
}

type overlapPairJSON struct {
	Ops   []string `json:"ops"`
	Count int      `json:"count"`
	TimeS float64  `json:"time_s"`
}

type overlapWorkloadJSON struct {
	Op       string  `json:"op"`
	Workload string  `json:"workload"`
	Count    int     `json:"count"`
	TimeS    float64 `json:"time_s"`
}

func newOverlapJSON(table *overlap.Table) overlapJSON {
	out := overlapJSON{Pairs: []overlapPairJSON{}, Never: [][]string{}, Workloads: []overlapWorkloadJSON{}}
	if table == nil {
		return out
	}
	out.StormS, out.Count, out.Close = seconds(table.Storm), table.Count, table.Close
	out.PerS, out.PairsPerS = thousandths(table.PerSecond()), thousandths(table.PairsPerSecond())
	out.Planned, out.Met, out.MetOverlapped = table.Meets.Planned, table.Meets.Met, table.Meets.Overlapped
	for _, p := range table.Pairs {
		out.Pairs = append(out.Pairs, overlapPairJSON{p.Pair[:], p.Count.Count, seconds(p.Time)})
	}
	for _, p := range table.Never {
		out.Never = append(out.Never, p[:])
	}
	for _, w := range table.Workloads {
		out.Workloads = append(out.Workloads, overlapWorkloadJSON{w.Kind, w.Workload, w.Count.Count, seconds(w.Time)})
	}
	return out
}

func thousandths(f float64) float64 { return float64(int64(f*1000+0.5)) / 1000 }
