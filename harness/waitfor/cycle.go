// SPDX-License-Identifier: Apache-2.0

package waitfor

import "slices"

// edges returns, for each wait, the waits of the tasks that it waits for,
// sorted; sure leaves out what is only inferred.
func (g *Graph) edges(sure bool) [][]int {
	index := make(map[string]int, len(g.Waits))
	for i, w := range g.Waits {
		index[w.Task] = i
	}
	out := make([][]int, len(g.Waits))
	for i, w := range g.Waits {
		for _, by := range w.By {
			if to, ok := index[by.Task]; ok && (!sure || by.Why != Inferred) {
				out[i] = append(out[i], to)
			}
		}
		slices.Sort(out[i])
		out[i] = slices.Compact(out[i])
	}
	return out
}

// smallestCycle returns the shortest cycle of the waits that are in, beginning
// with its first wait; of several the first in order. One without inferred
// edges is preferred, however long.
func (g *Graph) smallestCycle(in []bool) []int {
	return shortest(in, g.edges(true), g.edges(false))
}

// shortest returns the shortest cycle along the first edges that have any.
func shortest(in []bool, kinds ...[][]int) []int {
	for _, out := range kinds {
		s := search{out: out, part: components(out, in), parent: make([]int, len(out)), seen: make([]int, len(out))}
		for start := range out {
			if s.part[start] > 0 {
				s.through(start)
			}
		}
		if s.best != nil {
			return s.best
		}
	}
	return nil
}

// A search looks for the shortest cycle.
type search struct {
	out    [][]int
	part   []int // see components: no cycle leaves one
	best   []int
	parent []int // in the tree of the current start
	seen   []int // 1 + the last start from which a wait was reached
}

// through looks for a shorter cycle whose first wait is start, breadth first.
func (s *search) through(start int) {
	s.parent[start] = -1
	level := []int{start}
	for depth := 1; len(level) > 0 && (s.best == nil || depth < len(s.best)); depth++ {
		var next []int
		for _, i := range level {
			for _, to := range s.out[i] {
				if to == start {
					s.best = s.path(i)
					return
				}
				if to > start && s.part[to] == s.part[start] && s.seen[to] != start+1 {
					s.seen[to], s.parent[to] = start+1, i
					next = append(next, to)
				}
			}
		}
		level = next
	}
}

func (s *search) path(to int) []int {
	var p []int
	for ; to >= 0; to = s.parent[to] {
		p = append(p, to)
	}
	slices.Reverse(p)
	return p
}

// maxPart is how many waits a part holds at most.
const maxPart = 64

// Parts divides the graph into hangs that have nothing to do with each other.
// It returns the part of each task that waits: if its wait leads into a cycle,
// the smallest such, and what is connected with it; else the waits connected
// with it that lead into no cycle either. Tasks of one hang share one part,
// which has the waits nearest to its cycle or to its roots.
func (g *Graph) Parts() map[string]*Graph {
	parts := map[string]*Graph{}
	sure, out := g.edges(true), g.edges(false)
	back := reversed(out)
	both := merged(out, back)
	left := leadingIntoCycles(out, back)
	free := make([]bool, len(left))
	all := make([]bool, len(left))
	for i := range left {
		free[i], all[i] = !left[i], true
	}
	for {
		cycle := shortest(left, sure, out)
		if cycle == nil {
			break
		}
		part := g.part(reach(both, all, cycle), cycle)
		for _, i := range reach(back, left, cycle) {
			parts[g.Waits[i].Task] = part
			left[i] = false
		}
	}
	for i := range g.Waits {
		if free[i] && parts[g.Waits[i].Task] == nil {
			members := reach(both, free, []int{i})
			part := g.part(append(g.roots(members), members...), nil)
			for _, m := range members {
				parts[g.Waits[m].Task] = part
			}
		}
	}
	return parts
}

// leadingIntoCycles marks the waits that don't end anywhere.
func leadingIntoCycles(out, back [][]int) []bool {
	leading := make([]bool, len(out))
	open := make([]int, len(out)) // edges whose other end may lead into a cycle
	var ends []int
	for i := range out {
		leading[i], open[i] = true, len(out[i])
		if open[i] == 0 {
			ends = append(ends, i)
		}
	}
	for ; len(ends) > 0; ends = ends[1:] {
		leading[ends[0]] = false
		for _, from := range back[ends[0]] {
			if open[from]--; open[from] == 0 {
				ends = append(ends, from)
			}
		}
	}
	return leading
}

func reversed(out [][]int) [][]int {
	back := make([][]int, len(out))
	for from, tos := range out {
		for _, to := range tos {
			back[to] = append(back[to], from)
		}
	}
	return back
}

// reach returns what edges lead to, beginnings included, nearest first.
func reach(edges [][]int, in []bool, from []int) []int {
	seen := make([]bool, len(edges))
	var order []int
	for queue := slices.Clone(from); len(queue) > 0; queue = queue[1:] {
		if i := queue[0]; !seen[i] && in[i] {
			seen[i] = true
			order = append(order, i)
			queue = append(queue, edges[i]...)
		}
	}
	return order
}

// merged joins two lists of edges.
func merged(a, b [][]int) [][]int {
	both := make([][]int, len(a))
	for i := range a {
		both[i] = slices.Concat(a[i], b[i])
	}
	return both
}

// part makes a graph of the first waits of a list, which may repeat some.
func (g *Graph) part(order, cycle []int) *Graph {
	keep := slices.Clone(cycle)
	for _, i := range order {
		if len(keep) >= maxPart {
			break
		}
		if !slices.Contains(keep, i) {
			keep = append(keep, i)
		}
	}
	slices.Sort(keep)
	p := &Graph{}
	for _, i := range keep {
		p.Waits = append(p.Waits, g.Waits[i])
	}
	for _, i := range cycle {
		at, _ := slices.BinarySearch(keep, i)
		p.Cycle = append(p.Cycle, at)
	}
	return p
}
