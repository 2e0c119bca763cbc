// SPDX-License-Identifier: Apache-2.0

package waitgraph

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// maxEdgesDeep bounds how many other tasks may stand between WHO and the waiter.
const maxEdgesDeep = 3

// maxCycles bounds what is reported of one guest.
const maxCycles = 64

// A Cycle is a deadlock that what was seen adds up to.
type Cycle struct {
	Wait Wait
	Lock Held // the waiter's, that closes the cycle
	Take Take
	Path []string // of classes' keys: from what WHO takes to what the waiter holds

	// Queued names locks that both sides take to read: the cycle closes only if a
	// writer is queued between them, and writers of them were seen.
	Queued []string
	// Alike says that it isn't known to be the same lock: both sides have several
	// of its class.
	Alike bool

	names map[string]string
}

// Find finds the cycles; of an empty order those in which WHO takes a lock that the
// waiter holds.
func Find(n *Notes, o *Order) []Cycle {
	s := search{notes: n, order: o, names: map[string]string{}}
	maps.Copy(s.names, n.Names)
	for _, t := range n.Takes {
		s.names[t.Key] = t.Lock
	}
	for key, name := range o.Names {
		s.names[key] = name
	}
	takes := map[string][]Take{}
	for _, t := range n.Takes {
		takes[t.Who] = append(takes[t.Who], t)
	}
	best := map[string]Cycle{}
	for _, w := range n.Waits {
		for _, t := range takes[w.Who] {
			if gated(w, t) || onBehalf(t) {
				continue
			}
			for _, c := range s.cycles(w, t) {
				id := c.Identity()
				if old, known := best[id]; !known || c.better(old) {
					best[id] = c
				}
			}
		}
	}
	var all []Cycle
	for _, c := range best {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Cycle) int {
		return cmp.Or(cmp.Compare(len(a.Path), len(b.Path)), strings.Compare(a.Identity(), b.Identity()))
	})
	return all[:min(len(all), maxCycles)]
}

// better prefers what needs fewer assumptions.
func (c Cycle) better(old Cycle) bool {
	doubt := func(c Cycle) int {
		n := 4*len(c.Path) + 2*len(c.Queued)
		if c.Alike {
			n++
		}
		return n
	}
	return doubt(c) < doubt(old)
}

// gated reports whether the cycle can't come about by this take: a lock that the
// waiter holds keeps WHO from coming that far. If WHO got it by a trylock, it went
// another way; if it waits for it, that is a cycle of its own, and this is none.
func gated(w Wait, t Take) bool { return kept(w.Held, t.Held, t.Key) }

// kept reports whether what a task held every time when it took a lock keeps it
// from taking it while a waiter holds what it holds.
func kept(waiter, gates []Held, but string) bool {
	return slices.ContainsFunc(gates, func(gate Held) bool {
		return gate.Key != but && gate.Instance != "" && slices.ContainsFunc(waiter, func(h Held) bool {
			return h.Key == gate.Key && h.Instance != "" && !different(h.Instance, gate.Instance) && (h.Write || gate.Write)
		})
	})
}

// oneEach is the instance of a class that every guest had one of: whether they are
// the same object of the kernel's, their addresses don't tell.
const oneEach = "*"

// different reports whether two instances are known not to be one.
func different(a, b string) bool { return a != "" && b != "" && a != b && a != oneEach && b != oneEach }

type search struct {
	notes *Notes
	order *Order
	names map[string]string
}

// A step is how far a search has come.
type step struct {
	path   []string
	queued []string
}

// cycles lists the shortest ways from what WHO takes to locks that the waiter
// holds. A way ends at the first of them.
func (s *search) cycles(w Wait, t Take) []Cycle {
	var found []Cycle
	seen := map[string]bool{t.Key: true}
	for level := []step{{path: []string{t.Key}}}; len(level) > 0; {
		var next []step
		for _, at := range level {
			key := at.path[len(at.path)-1]
			if i := slices.IndexFunc(w.Held, func(h Held) bool { return h.Key == key }); i >= 0 {
				if c, ok := s.close(w, w.Held[i], t, at); ok {
					found = append(found, c)
				}
				continue
			}
			if len(at.path) > maxEdgesDeep {
				continue
			}
			for _, e := range s.order.Next[key] {
				queued, ok := s.blocks(key, w, t, len(at.path) == 1, e)
				if !ok || seen[e.To] {
					continue
				}
				seen[e.To] = true
				next = append(next, step{append(slices.Clone(at.path), e.To), append(slices.Clone(at.queued), queued...)})
			}
		}
		level = next
	}
	return found
}

// blocks reports whether a holder of a lock, as it is held where the order was
// seen, can block the one who takes it: WHO first, then a task of whom only the
// order is known. It can't if the waiter has what the holder needs first.
func (s *search) blocks(key string, w Wait, t Take, first bool, e Edge) (queued []string, ok bool) {
	written := s.written(key, w)
	switch {
	case e.byWriter() && written || e.byReader() && first && t.Write:
		return nil, true
	case e.byReader():
		return []string{key}, written
	}
	return nil, false
}

// written reports whether somebody may take a lock to write, or queue for it, while
// the waiter holds what it holds.
func (s *search) written(key string, w Wait) bool {
	gates, ok := s.notes.Writers[key]
	return ok && !kept(w.Held, gates, key)
}

// close makes a cycle of a way that has come to a lock of the waiter's.
func (s *search) close(w Wait, h Held, t Take, at step) (Cycle, bool) {
	c := Cycle{Wait: w, Lock: h, Take: t, Path: at.path, Queued: at.queued, names: s.names}
	direct := len(at.path) == 1
	if annotation(c.name(h.Key)) || direct && different(h.Instance, t.Instance) {
		return Cycle{}, false
	}
	if direct && h.Instance == t.Instance && h.Instance != "" && h.Instance != oneEach {
		c.Alike = false
	} else {
		c.Alike = !s.single(h)
	}
	if !h.Write && (!direct || !t.Write) {
		if !s.written(h.Key, w) || strings.HasPrefix(c.name(h.Key), "kn->active") && direct {
			return Cycle{}, false
		}
		c.Queued = append(slices.Clone(c.Queued), h.Key)
	}
	return c, true
}

// single reports whether all that was seen of a lock's class is one instance.
func (s *search) single(h Held) bool {
	if h.Instance == "" || h.Instance == oneEach {
		return false
	}
	same := func(all []Held) bool {
		return !slices.ContainsFunc(all, func(o Held) bool { return o.Key == h.Key && o.Instance != h.Instance })
	}
	for _, w := range s.notes.Waits {
		if !same(w.Held) {
			return false
		}
	}
	for _, t := range s.notes.Takes {
		if !same(t.Held) || t.Key == h.Key && t.Instance != h.Instance {
			return false
		}
	}
	return true
}

// onBehalf reports whether WHO only tells lockdep that it works under a lock which
// another task holds for it while it waits. It doesn't take the lock, and nothing
// in the notes shows the difference: kernel/cpu.c lockdep_acquire_cpus_lock(), in
// cpuhp_thread_fun(), is the one place in the kernel where a thread does so.
func onBehalf(t Take) bool { return t.Lock == "cpu_hotplug_lock" && t.At == "cpuhp_thread_fun" }

// annotation reports whether "holding" a class of this name blocks nobody: it
// stands for what a task may come to do (mm/page_alloc.c __fs_reclaim_map,
// mm/mmu_notifier.c, drivers/dma-buf/dma-fence.c).
func annotation(name string) bool {
	return slices.Contains([]string{"fs_reclaim", "mmu_notifier_invalidate_range_start", "dma_fence_map"}, name)
}
