// SPDX-License-Identifier: Apache-2.0

package waitfor

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A party is a task of a made-up hang: it waits in one way for another.
type party struct {
	comm  string
	pid   int
	stack string
	locks []string // held, then the one that is acquired
	last  string
}

func (p *party) task() string { return fmt.Sprintf("%s/%d", p.comm, p.pid) }

// A scene is a made-up hang and the dump of it.
type scene struct {
	parties []*party
	pools   []string // lines of the dump of the workqueues
}

// add makes a task with a stack of its own.
func (s *scene) add() *party {
	n := len(s.parties) + 1
	p := &party{comm: fmt.Sprintf("t%c", 'a'+n%26), pid: 100 + n}
	s.parties = append(s.parties, p)
	return p
}

// wait makes one party wait for another.
func (s *scene) wait(t *rapid.T, p, on *party) {
	address := fmt.Sprintf("ffff8880%08x", 0x1000*p.pid) // of a lock that only p waits for
	f := fmt.Sprintf("f%d", p.pid)
	p.comm = rapid.SampledFrom([]string{p.comm, "kworker/0:1", "init"}).Draw(t, "comm")
	ways := []string{"mutex", "write", "read"}
	if s.parties[0] != on && on.stack == "" {
		ways = append(ways, "flush")
	}
	switch rapid.SampledFrom(ways).Draw(t, "way") {
	case "mutex":
		p.stack, p.last = mutex+f, address+" &x->lock "+f
		on.locks = append(on.locks, address+" &x->lock h")
	case "write":
		p.stack, p.last = writes+f, address+" x "+f
		on.locks = append(on.locks, address+" x h")
	case "read":
		p.stack, p.last = reads+f, address+" x "+f
		on.locks = append(on.locks, address+" x h")
	case "flush":
		p.stack = flush + f
		s.pools = append(s.pools, fmt.Sprintf("    in-flight: %d:w%d BAR(%d)\n", on.pid, on.pid, p.pid))
	}
}

// dump prints the scene, its tasks in any order.
func (s *scene) dump(t *rapid.T) string {
	var b strings.Builder
	for _, p := range rapid.Permutation(s.parties).Draw(t, "dumps") {
		stack := p.stack
		if stack == "" {
			stack = "__schedule schedule schedule_timeout __wait_for_common wait_for_completion end"
		}
		b.WriteString(stackOf(p.comm, p.pid, 1, stack+" g"))
	}
	b.WriteString(showing)
	for _, p := range rapid.Permutation(s.parties).Draw(t, "lists") {
		locks := slices.Clone(p.locks)
		if p.last != "" {
			locks = append(locks, p.last)
		}
		if len(locks) > 0 {
			b.WriteString(heldBy(p.task(), locks...))
		}
	}
	return b.String() + shown + strings.Join(s.pools, "")
}

// acyclic makes tasks each of which waits for an earlier one, or for nobody.
func (s *scene) acyclic(t *rapid.T, n int) {
	for range n {
		p := s.add()
		if i := rapid.IntRange(0, len(s.parties)-1).Draw(t, "on"); s.parties[i] != p {
			s.wait(t, p, s.parties[i])
		}
	}
}

// TestPlantedCycle: a cycle in a crowd of other waits is found, whole and in
// its order, and everybody who leads into it shares it.
func TestPlantedCycle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &scene{}
		size := rapid.IntRange(1, 6).Draw(t, "size")
		for range size {
			s.add()
		}
		ring := slices.Clone(s.parties)
		for i, p := range ring {
			s.wait(t, p, ring[(i+1)%size])
		}
		s.acyclic(t, rapid.IntRange(0, 12).Draw(t, "others"))
		text := s.dump(t)
		g := read(text)
		if len(g.Cycle) != size {
			t.Fatalf("a cycle of %d, want %d:\n%s", len(g.Cycle), size, text)
		}
		for i, at := range g.Cycle {
			next := g.Waits[g.Cycle[(i+1)%size]].Task
			k := slices.IndexFunc(ring, func(p *party) bool { return p.task() == g.Waits[at].Task })
			if k < 0 || ring[(k+1)%size].task() != next {
				t.Fatalf("%s doesn't wait for %s:\n%s", g.Waits[at].Task, next, text)
			}
		}
		signature := g.Signature()
		parts := g.Parts()
		for _, p := range ring {
			if got := parts[p.task()].Signature(); got != signature {
				t.Errorf("%s: signature %q, want %q", p.task(), got, signature)
			}
		}
	})
}

// TestNoCycle: where nobody waits in a circle, none is claimed.
func TestNoCycle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &scene{}
		s.acyclic(t, rapid.IntRange(1, 16).Draw(t, "tasks"))
		g := read(s.dump(t))
		if len(g.Waits) != len(s.parties) {
			t.Fatalf("%d of %d waits are found", len(g.Waits), len(s.parties))
		}
		for task, part := range g.Parts() {
			if len(part.Cycle) > 0 || part.Signature() == "" {
				t.Errorf("%s: cycle %v, signature %q", task, part.Cycle, part.Signature())
			}
		}
	})
}

// ring makes a graph of tasks that wait for each other in a circle.
func ring(pids ...int) *Graph {
	g := &Graph{}
	for i, pid := range pids {
		g.Waits = append(g.Waits, Wait{
			Task: fmt.Sprintf("kworker/%d:0/%d", pid, pid), Kthread: true, Site: fmt.Sprintf("f%d", i),
			Object: Object{Kind: Mutex, Name: fmt.Sprintf("lock%d", i)},
			By:     []Block{{Task: fmt.Sprintf("kworker/%d:0/%d", pids[(i+1)%len(pids)], pids[(i+1)%len(pids)]), Why: Holds}},
		})
		g.Cycle = append(g.Cycle, i)
	}
	return g
}

// TestSignature: neither pids nor where one begins to tell it makes a difference.
func TestSignature(t *testing.T) {
	want := "kworker: mutex lock0 in f0 -> kworker: mutex lock1 in f1 -> kworker: mutex lock2 in f2"
	if got := ring(1, 2, 3).Signature(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	turned := ring(5, 9, 7)
	turned.Cycle = []int{1, 2, 0}
	if got := turned.Signature(); got != want {
		t.Errorf("other pids, turned: %q, want %q", got, want)
	}
	if got := ring(1, 2).Signature(); got == want {
		t.Error("another cycle has the same signature")
	}
}

// TestSurerCycle: a cycle that the dump proves is preferred to a shorter one
// that is only inferred.
func TestSurerCycle(t *testing.T) {
	g := ring(1, 2, 3)
	g.Waits[1].By = append(g.Waits[1].By, Block{Task: g.Waits[0].Task, Why: Inferred})
	g.Cycle = g.smallestCycle([]bool{true, true, true})
	if len(g.Cycle) != 3 {
		t.Errorf("cycle %v", g.Cycle)
	}
}

// TestShortest: of any graph the shortest cycle of the waits that are in is found,
// and begins with its first wait.
func TestShortest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "waits")
		out, in := make([][]int, n), make([]bool, n)
		for i := range out {
			in[i] = rapid.IntRange(0, 4).Draw(t, "in") > 0
			out[i] = rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 0, 3, rapid.ID).Draw(t, "edges")
			slices.Sort(out[i])
		}
		cycle := shortest(in, out)
		for i, at := range cycle {
			if !in[at] || at < cycle[0] || !slices.Contains(out[at], cycle[(i+1)%len(cycle)]) {
				t.Fatalf("%v is no cycle of %v in %v", cycle, out, in)
			}
		}
		if want := girth(out, in); len(cycle) != want {
			t.Fatalf("%v, want one of %d: %v in %v", cycle, want, out, in)
		}
	})
}

// girth is the length of the shortest cycle, 0 if there is none.
func girth(out [][]int, in []bool) int {
	for steps := 1; steps <= len(out); steps++ {
		for start := range out {
			at := map[int]bool{start: in[start]}
			for range steps {
				next := map[int]bool{}
				for i, here := range at {
					for _, to := range out[i] {
						next[to] = next[to] || here && in[to]
					}
				}
				at = next
			}
			if at[start] {
				return steps
			}
		}
	}
	return 0
}

// TestMostWaits: as many waits as are kept, each with as many edges, are taken
// apart in a moment. Half a minute was what the first one took once.
func TestMostWaits(t *testing.T) {
	task := func(i int) string { return fmt.Sprintf("t/%d", i) }
	for _, tt := range []struct {
		name string
		why  Why
		to   func(i, k int) int
	}{
		{"sure edges onwards", Holds, func(i, k int) int { return i + k }},
		{"inferred edges onwards", Inferred, func(i, k int) int { return i + k }},
		{"sure edges back", Holds, func(i, k int) int { return i - k - 1 }},
	} {
		g := &Graph{}
		for i := range maxWaits {
			w := Wait{Task: task(i), Object: Object{Kind: Mutex}, By: []Block{{Task: task(i ^ 1), Why: Inferred}}}
			for k := 1; k < maxBlocks; k++ {
				w.By = append(w.By, Block{Task: task(tt.to(i, k)), Why: tt.why})
			}
			g.Waits = append(g.Waits, w)
		}
		if parts := g.Parts(); len(parts) != maxWaits {
			t.Errorf("%s: %d parts", tt.name, len(parts))
		}
	}
}
