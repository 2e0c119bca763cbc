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

// NewRecord keeps what matters of the module's answers, to themselves and to what
// other guests have seen (nil: nobody): an order can be an empty text, for none.
func NewRecord(waits, order string, others *Union) (Record, error) {
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
	named, between := matter([]*Notes{n, others.known()}, o)
	r.Order = trim(order, named, between)
	r.Waits = trimWriters(waits, named, between)
	return r, nil
}

// Covers reports whether the module's file order names all that somebody has waited
// under, or for, by its file waits. If not, it was read too early.
func Covers(order, waits string) bool {
	n, err := ParseNotes(waits)
	if err != nil {
		return true // a later order wouldn't help
	}
	for _, w := range n.Waits {
		keys := []string{kernfsKey(w.Who)}
		for _, h := range w.Held {
			keys = append(keys, h.Key)
		}
		if slices.ContainsFunc(keys, func(key string) bool { return key != "" && !strings.Contains(order, " "+key+" ") }) {
			return false
		}
	}
	return true
}

// Read reads a record as a history holds it.
func Read(text []byte) (Record, error) {
	var r Record
	err := json.Unmarshal(text, &r)
	return r, err
}

// Parse reads what the module said: no notes if it said nothing, and an empty
// order if that isn't known.
func (r Record) Parse() (*Notes, *Order, error) {
	if r.Waits == "" {
		return nil, newOrder(), nil
	}
	n, err := ParseNotes(r.Waits)
	if err != nil || r.Order == "" {
		return n, newOrder(), err
	}
	o, err := ParseOrder(r.Order)
	return n, o, err
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

// matter lists the classes that are named in notes, and those that stand on a
// way from what somebody takes to what a waiter holds.
func matter(all []*Notes, o *Order) (named, between map[string]bool) {
	takes, ends := map[string]bool{}, map[string]bool{}
	named = map[string]bool{}
	for _, n := range all {
		for _, t := range n.Takes {
			takes[t.Key], named[t.Key], named[kernfsKey(t.Who)] = true, true, true
			for _, h := range t.Held {
				named[h.Key] = true
			}
		}
		for _, w := range n.Waits {
			named[kernfsKey(w.Who)] = true
			for _, h := range w.Held {
				ends[h.Key], named[h.Key] = true, true
			}
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
func trim(order string, named, between map[string]bool) string {
	keys := map[string]string{}
	var kept []string
	for line := range strings.Lines(order) {
		if key, symbol, ok := keyLine(line); ok && (named[key] || between[key]) && !strings.HasPrefix(symbol, "0x") {
			kept = append(kept, line)
		}
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
func trimWriters(waits string, named, between map[string]bool) string {
	kept := slices.DeleteFunc(slices.Collect(strings.Lines(waits)), func(line string) bool {
		words := strings.Fields(line)
		return len(words) > 1 && words[0] == "writer" && !named[words[1]] && !between[words[1]]
	})
	return strings.Join(kept, "")
}
