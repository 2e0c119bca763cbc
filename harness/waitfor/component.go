// SPDX-License-Identifier: Apache-2.0

package waitfor

import "slices"

// components numbers, from 1, the strongly connected components of the waits that
// are in: two waits have one number if each leads to the other. A wait that is in
// no cycle has 0. It takes linear time (R. Tarjan, 1972).
func components(out [][]int, in []bool) []int {
	t := &tarjan{out: out, in: in, part: make([]int, len(out)), order: make([]int, len(out)), low: make([]int, len(out)), open: make([]bool, len(out))}
	for i := range out {
		if in[i] && t.order[i] == 0 {
			t.visit(i)
		}
	}
	return t.part
}

type tarjan struct {
	out        [][]int
	in         []bool
	part       []int
	order, low []int // when a wait was met, from 1; the earliest that it leads to
	open       []bool
	stack      []int // the open ones
	met, parts int
}

// visit follows a wait's edges, to a depth of maxWaits at most.
func (t *tarjan) visit(i int) {
	t.met++
	t.order[i], t.low[i], t.open[i] = t.met, t.met, true
	t.stack = append(t.stack, i)
	for _, to := range t.out[i] {
		switch {
		case !t.in[to]:
		case t.order[to] == 0:
			t.visit(to)
			t.low[i] = min(t.low[i], t.low[to])
		case t.open[to]:
			t.low[i] = min(t.low[i], t.order[to])
		}
	}
	if t.low[i] == t.order[i] {
		t.close(i)
	}
}

// close takes a component, of which i was met first, off the stack.
func (t *tarjan) close(i int) {
	cyclic := t.stack[len(t.stack)-1] != i || slices.Contains(t.out[i], i)
	if cyclic {
		t.parts++
	}
	for last := -1; last != i; {
		last, t.stack = t.stack[len(t.stack)-1], t.stack[:len(t.stack)-1]
		t.open[last] = false
		if cyclic {
			t.part[last] = t.parts
		}
	}
}
