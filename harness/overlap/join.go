// SPDX-License-Identifier: Apache-2.0

package overlap

import (
	"maps"
	"slices"
)

// Join makes one table of several runs', whose steps never overlapped each
// other's: they had guests of their own. nil tables tell nothing.
func Join(tables ...*Table) *Table {
	all := &Table{}
	pairs, never, workloads := map[Pair]Count{}, map[Pair]bool{}, map[[2]string]Count{}
	for _, t := range tables {
		if t == nil {
			continue
		}
		all.Storm += t.Storm
		all.Count += t.Count
		all.Close += t.Close
		all.PairSeconds += t.PairSeconds
		all.Meets.Planned += t.Meets.Planned
		all.Meets.Met += t.Meets.Met
		all.Meets.Overlapped += t.Meets.Overlapped
		for _, p := range t.Pairs {
			pairs[p.Pair] = pairs[p.Pair].plus(p.Count)
		}
		for _, p := range t.Never {
			never[p] = true
		}
		for _, w := range t.Workloads {
			key := [2]string{w.Kind, w.Workload}
			workloads[key] = workloads[key].plus(w.Count)
		}
	}
	all.Pairs, all.Never, all.Workloads = []PairCount{}, []Pair{}, []WorkloadCount{}
	for pair, count := range pairs {
		all.Pairs = append(all.Pairs, PairCount{pair, count})
		delete(never, pair) // another run had it
	}
	all.Never = slices.AppendSeq(all.Never, maps.Keys(never))
	for key, count := range workloads {
		all.Workloads = append(all.Workloads, WorkloadCount{key[0], key[1], count})
	}
	all.sort()
	return all
}

func (c Count) plus(d Count) Count { return Count{c.Count + d.Count, c.Time + d.Time} }
