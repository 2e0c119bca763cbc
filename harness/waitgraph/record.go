// SPDX-License-Identifier: Apache-2.0

package waitgraph

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Record is what a guest said, as a history holds it: the module's own words,
// so that a better reasoning can judge them again. An empty one says that the
// module is there.
type Record struct {
	Why   string `json:"why,omitempty"`   // why nothing was looked at
	Waits string `json:"waits,omitempty"` // the module's file waits
	Order string `json:"order,omitempty"` // of the file order what matters to it
}

// NewRecord keeps what matters of the module's answers: an order can be an
// empty text, for none.
func NewRecord(waits, order string) (Record, error) {
	n, err := ParseNotes(waits)
	if err != nil {
		return Record{}, err
	}
	r := Record{Waits: waits}
	if order == "" {
		return r, nil
	}
	o, err := ParseOrder(order)
	if err != nil {
		return Record{}, err
	}
	r.Order = trim(order, n, o)
	r.Waits = trimWriters(waits, n, o)
	return r, nil
}

// Read reads a record as a history holds it.
func Read(text []byte) (Record, error) {
	var r Record
	err := json.Unmarshal(text, &r)
	return r, err
}

// Judge finds the cycles in a record. The notes are nil if it has none.
func (r Record) Judge() ([]Cycle, *Notes, error) {
	if r.Waits == "" {
		return nil, nil, nil
	}
	n, err := ParseNotes(r.Waits)
	if err != nil {
		return nil, nil, err
	}
	var o *Order
	if r.Order != "" {
		if o, err = ParseOrder(r.Order); err != nil {
			return nil, nil, err
		}
	}
	return Find(n, o), n, nil
}

// within lists the classes that are at most so many edges away from some.
func within(next map[string][]string, from map[string]bool, edges int) map[string]bool {
	reached := map[string]bool{}
	for key := range from {
		reached[key] = true
	}
	for level := from; edges > 0; edges-- {
		further := map[string]bool{}
		for key := range level {
			for _, to := range next[key] {
				if !reached[to] {
					reached[to], further[to] = true, true
				}
			}
		}
		level = further
	}
	return reached
}

// matter lists the classes that are named in the notes, and those that stand on
// a way from what somebody takes to what a waiter holds.
func matter(n *Notes, o *Order) (named, between map[string]bool) {
	takes, ends := map[string]bool{}, map[string]bool{}
	named = map[string]bool{}
	for _, t := range n.Takes {
		takes[t.Key], named[t.Key] = true, true
		for _, h := range t.Held {
			named[h.Key] = true
		}
	}
	for _, w := range n.Waits {
		for _, h := range w.Held {
			ends[h.Key], named[h.Key] = true, true
		}
	}
	forward, backward := map[string][]string{}, map[string][]string{}
	for from, edges := range o.Next {
		for _, e := range edges {
			forward[from] = append(forward[from], e.To)
			backward[e.To] = append(backward[e.To], from)
		}
	}
	after, before := within(forward, takes, maxEdgesDeep), within(backward, ends, maxEdgesDeep)
	between = map[string]bool{}
	for key := range after {
		if before[key] {
			between[key] = true
		}
	}
	return named, between
}

// trim leaves out of an order what is on no way.
func trim(order string, n *Notes, o *Order) string {
	named, between := matter(n, o)
	keys := map[string]string{}
	var kept []string
	for line := range strings.Lines(order) {
		words := strings.SplitN(strings.TrimRight(line, "\n"), " ", 4)
		if len(words) != 4 {
			continue
		}
		if words[0] == "class" {
			keys[words[1]] = words[2]
			if named[words[2]] || between[words[2]] {
				kept = append(kept, line)
			}
		}
	}
	for line := range strings.Lines(order) {
		if words := strings.Fields(line); len(words) == 4 && words[0] == "edge" && between[keys[words[1]]] && between[keys[words[2]]] {
			kept = append(kept, line)
		}
	}
	return fmt.Sprintln(Header) + strings.Join(kept, "")
}

// trimWriters leaves out of the notes who writes what doesn't matter.
func trimWriters(waits string, n *Notes, o *Order) string {
	named, between := matter(n, o)
	kept := slices.DeleteFunc(slices.Collect(strings.Lines(waits)), func(line string) bool {
		words := strings.Fields(line)
		return len(words) > 1 && words[0] == "writer" && !named[words[1]] && !between[words[1]]
	})
	return strings.Join(kept, "")
}
