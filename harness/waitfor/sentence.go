// SPDX-License-Identifier: Apache-2.0

package waitfor

import (
	"cmp"
	"slices"
	"strings"
)

// maxClauses bounds a sentence about a hang without a cycle.
const maxClauses = 6

// Sentence says in English who waits for whom: of a cycle its members, else
// the waits one by one, the roots first. What is only inferred is marked.
func (g *Graph) Sentence() string {
	s := speaker{g, map[string]int{}}
	for _, w := range g.Waits {
		s.comms[commOf(w.Task)]++
	}
	var clauses []string
	if len(g.Cycle) > 0 {
		for _, i := range s.rotated() {
			clauses = append(clauses, s.link(i))
		}
		return strings.Join(clauses, "; ")
	}
	order := g.roots(nil)
	for i := range g.Waits {
		if !slices.Contains(order, i) {
			order = append(order, i)
		}
	}
	for _, i := range order[:min(len(order), maxClauses)] {
		clauses = append(clauses, s.chain(&g.Waits[i]))
	}
	if len(order) > maxClauses {
		clauses = append(clauses, "and others")
	}
	return strings.Join(clauses, "; ")
}

type speaker struct {
	*Graph
	comms map[string]int // how many tasks have a name
}

// task names a task, with its pid where the name doesn't tell.
func (s speaker) task(task string) string {
	if comm := commOf(task); s.comms[comm] < 2 {
		return comm
	}
	return task
}

// rotated returns the positions in the cycle, beginning with a wait that holds
// a lock which the one before it waits for: "X holds ..." opens the sentence.
func (s speaker) rotated() []int {
	start := 0
	for i := range s.Cycle {
		if s.held(i) != "" {
			start = i
			break
		}
	}
	var order []int
	for i := range s.Cycle {
		order = append(order, (start+i)%len(s.Cycle))
	}
	return order
}

// at returns the wait at a position in the cycle, and the edge from it.
func (s speaker) at(i int) (*Wait, Block) {
	n := len(s.Cycle)
	w, next := &s.Waits[s.Cycle[(i+n)%n]], s.Waits[s.Cycle[(i+1)%n]].Task
	k := slices.IndexFunc(w.By, func(b Block) bool { return b.Task == next })
	return w, w.By[max(k, 0)]
}

// held says what the wait before the one at position i wants of its task.
func (s speaker) held(i int) string {
	before, edge := s.at(i - 1)
	o := before.Object
	if edge.Why == Queued || !o.Kind.isLock() && o.Kind != KernfsDrain && o.Kind != RCU {
		return ""
	}
	if o.Kind == RCU {
		o.Name = "rcu_read_lock"
	}
	o.Mode = edge.Mode
	return o.name("")
}

// link is the clause of a wait in a cycle.
func (s speaker) link(i int) string {
	w, edge := s.at(i)
	before, _ := s.at(i - 1)
	c := s.task(w.Task)
	if before.Object.Kind == Work && w.Worker != "" && before.Object.Name == "" {
		c += ", which runs " + w.Worker + ","
	}
	if held := s.held(i); held != "" {
		c += " holds " + held + " and"
	}
	c += " waits for " + s.wanted(w, edge)
	switch edge.Why {
	case Queued:
		c += " behind " + s.task(edge.Task)
	case Inferred:
		c += " (inferred)"
	}
	return c + s.perhapsBehind(w, edge)
}

// perhapsBehind speaks of the writer in the queue of a reader of an rwsem. If
// the holder, whose mode isn't known, has it to read too, the writer is what
// keeps the reader out; it waits for that holder in either case.
func (s speaker) perhapsBehind(w *Wait, edge Block) string {
	i := slices.IndexFunc(w.By, func(b Block) bool { return b.Why == Queued })
	if i < 0 || edge.Why != Holds || edge.Mode != "" {
		return ""
	}
	return ", behind " + s.task(w.By[i].Task) + " if " + s.task(edge.Task) + " has it to read"
}

// chain is the clause of a wait outside of cycles.
func (s speaker) chain(w *Wait) string {
	if len(w.By) == 0 {
		c := s.task(w.Task) + s.holding(w) + " waits for " + s.wanted(w, Block{})
		switch {
		case w.Object.Kind.isLock():
			c += ", whose holder isn't known"
		case w.Object.Kind != Other:
			c += ", and nothing shows who would end that"
		}
		return c
	}
	edge := w.By[0]
	c := s.task(w.Task) + s.holding(w) + " waits for " + s.wanted(w, edge)
	switch {
	case edge.Why == Queued:
		c += " behind " + s.task(edge.Task)
	case w.Object.Kind.isLock() || w.Object.Kind == KernfsDrain:
		c += ", held by " + s.task(edge.Task)
	}
	if edge.Why == Inferred {
		c += " (inferred)"
	}
	return c
}

// holding names the locks of a task that others of the graph wait for.
func (s speaker) holding(w *Wait) string {
	var held []string
	for _, other := range s.Waits {
		for _, by := range other.By {
			if by.Task == w.Task && by.Why == Holds {
				o := other.Object
				o.Mode = by.Mode
				if name := o.name(""); !slices.Contains(held, name) {
					held = append(held, name)
				}
			}
		}
	}
	if len(held) == 0 {
		return ""
	}
	return " holds " + strings.Join(held, " and ") + " and"
}

// wanted says what a wait is for.
func (s speaker) wanted(w *Wait, edge Block) string {
	who := s.task(edge.Task)
	if edge.Task == "" {
		who = w.Object.Name
	}
	place := ""
	if w.Site != "" {
		place = " in " + w.Site
	}
	switch w.Object.Kind {
	case KthreadStop:
		return cmp.Or(who, "a kthread") + " to stop" + placeUnless(who, place)
	case KthreadPark:
		return cmp.Or(who, "a kthread") + " to park" + placeUnless(who, place)
	case KthreadNew:
		return cmp.Or(who, "kthreadd") + " to make a kthread"
	case CPUHP:
		return cmp.Or(who, "a CPU's hotplug thread") + " to take its CPU up or down"
	case Work:
		return s.work(w, edge, place)
	case Completion:
		switch {
		case w.Object.Name != "":
			return who + " to complete its request" + place
		case who != "":
			return "a completion" + place + " from " + who
		}
		return "a completion" + place
	case KernfsDrain:
		return "the last user of a sysfs file to leave it"
	case RCU:
		return "an " + strings.ToUpper(cmp.Or(w.Object.Name, "rcu")) + " grace period" + place
	case StopMachine:
		return "the stopper threads" + place
	case Other:
		return cmp.Or(w.Object.Name, "something") + place
	}
	return w.Object.name(place)
}

func (s speaker) work(w *Wait, edge Block, place string) string {
	what := "a work item" + place
	if w.Object.Name != "" {
		what = "the work item " + w.Object.Name
	}
	if edge.Task != "" {
		what += " on " + s.task(edge.Task)
	}
	return what
}

// name writes a lock with its mode; one without a name by its kind and place.
func (o Object) name(place string) string {
	s := o.Name
	if s == "" {
		s = "a " + string(o.Kind)
		if o.Kind == RWSem {
			s = "an rwsem"
		}
	}
	if o.Mode != "" {
		s += " (" + string(o.Mode) + ")"
	}
	if o.Name == "" {
		s += place
	}
	return s
}

func placeUnless(known, place string) string {
	if known != "" {
		return ""
	}
	return place
}
