// SPDX-License-Identifier: Apache-2.0

package waitgraph

import (
	"maps"
	"slices"
	"strings"
)

// maxGuests bounds how many guests are named of a sighting.
const maxGuests = 5

// A Union is what several guests of one kernel have noted, put together: one may
// have seen a wait, and another what closes the cycle. What is said to be held
// every time is what was so in all of them.
//
// A class of locks is the same in two guests if its key is at the same address,
// has a symbol of the kernel there, the same one, and the class the same name. All
// others, as those of keys that were allocated, are known by their names only:
// they are gates, and never part of a cycle between guests. The same goes for
// the files of kernfs, by the class of their operations.
//
// A Union grows with what is different, not with the number of guests. Its methods
// aren't safe for concurrent use.
type Union struct {
	notes Notes
	order *Order
	takes map[takeID]int  // index in notes.Takes
	waits map[string]int  // index in notes.Waits
	lone  map[string]bool // keys whose classes were told differently: of no use between guests
}

// A takeID tells takes apart.
type takeID struct {
	who, key string
	write    bool
}

// NewUnion returns an empty one.
func NewUnion() *Union {
	return &Union{
		notes: Notes{Writers: map[string][]Held{}, Names: map[string]string{}}, order: newOrder(),
		takes: map[takeID]int{}, waits: map[string]int{}, lone: map[string]bool{},
	}
}

// Clone returns a copy that can be added to.
func (u *Union) Clone() *Union {
	o := &Order{Names: maps.Clone(u.order.Names), Symbols: maps.Clone(u.order.Symbols), Next: map[string][]Edge{}}
	for key, edges := range u.order.Next {
		o.Next[key] = slices.Clone(edges)
	}
	n := Notes{
		Takes: slices.Clone(u.notes.Takes), Waits: slices.Clone(u.notes.Waits),
		Writers: maps.Clone(u.notes.Writers), Names: maps.Clone(u.notes.Names),
	}
	return &Union{notes: n, order: o, takes: maps.Clone(u.takes), waits: maps.Clone(u.waits), lone: maps.Clone(u.lone)}
}

// known is what was put together so far. A nil Union has nothing.
func (u *Union) known() *Notes {
	if u == nil {
		return &Notes{}
	}
	return &u.notes
}

// Add puts in what a guest has noted. What it notes later can be added again, for
// it holds all that it noted before.
func (u *Union) Add(guest string, n *Notes, o *Order) {
	u.agree(o)
	for _, t := range n.Takes {
		u.addTake(t, []string{guest}, o)
	}
	for _, w := range n.Waits {
		u.addWait(w, []string{guest}, o)
	}
	u.addOrder(n, o)
}

// Join puts in what another Union has, whose guests are named with a prefix.
func (u *Union) Join(other *Union, prefix string) {
	u.agree(other.order)
	named := func(guests []string) []string {
		var all []string
		for _, g := range guests {
			all = append(all, prefix+g)
		}
		return all
	}
	for _, t := range other.notes.Takes {
		u.addTake(t, named(t.Guests), other.order)
	}
	for _, w := range other.notes.Waits {
		u.addWait(w, named(w.Guests), other.order)
	}
	u.addOrder(&other.notes, other.order)
}

// Cycles lists what adds up to a deadlock. Those that one guest has seen all of by
// itself are among them, unless they need a lock that only a name is known of.
func (u *Union) Cycles() []Cycle { return Find(&u.notes, u.order) }

// agree takes in what classes are called. One may have no name yet, if nobody has
// used the file that it is of.
func (u *Union) agree(o *Order) {
	for key, symbol := range o.Symbols {
		name := unnumbered(o.Names[key])
		if u.order.Names[key] == "" && name != "" {
			u.order.Names[key] = name
		}
		if u.order.Symbols[key] == "" {
			u.order.Symbols[key] = symbol
		}
		if u.order.Symbols[key] != symbol || name != "" && u.order.Names[key] != name {
			u.lone[key] = true
		}
	}
}

// common reports whether a class is one and the same in all guests that have it.
func (u *Union) common(key string, o *Order) bool { return o.Symbols[key] != "" && !u.lone[key] }

// held says what a guest's locks are to the others.
func (u *Union) held(all []Held, o *Order) []Held {
	var out []Held
	for _, h := range all {
		own := h.Key
		if !u.common(h.Key, o) {
			own, h.Key = "", byName(h.Key, o)
		}
		h.Instance = instanceIn(h.Instance, own)
		out = append(out, h)
	}
	return out
}

// instanceIn says what an instance is to other guests. A lock that is its own key
// is an object of the kernel's image, and so the same one in all of them.
func instanceIn(instance, key string) string {
	if instance == "" || instance == key {
		return instance
	}
	return oneEach
}

// nameOnly begins the key of a class that is known by its name only.
const nameOnly = "?"

// byName is such a key. A class without a name may be any other without one.
func byName(key string, o *Order) string {
	if strings.HasPrefix(key, nameOnly) {
		return key
	}
	return nameOnly + unnumbered(o.Names[key])
}

// sameWho reports whether somebody is the same in all guests.
func (u *Union) sameWho(who string, o *Order) bool {
	key := kernfsKey(who)
	return key == "" || u.common(key, o)
}

// kernfsKey is the key of the class of a kernfs file's users, "" for others.
func kernfsKey(who string) string {
	key, ok := strings.CutPrefix(who, "kernfs:")
	if !ok {
		return ""
	}
	return key
}

func (u *Union) addTake(t Take, guests []string, o *Order) {
	if !u.sameWho(t.Who, o) || !u.common(t.Key, o) {
		return
	}
	t.Held = u.held(t.Held, o)
	t.Instance = instanceIn(t.Instance, t.Key)
	id := takeID{t.Who, t.Key, t.Write}
	i, ok := u.takes[id]
	if !ok {
		t.Guests = guests
		u.takes[id] = len(u.notes.Takes)
		u.notes.Takes = append(u.notes.Takes, t)
		return
	}
	old := &u.notes.Takes[i]
	old.Held, old.Instance = always(old.Held, t.Held), one(old.Instance, t.Instance)
	if old.At != t.At {
		old.At = ""
	}
	if old.Guests[0] == guests[0] {
		old.Count = t.Count
	}
	old.Guests = seenIn(old.Guests, guests)
}

func (u *Union) addWait(w Wait, guests []string, o *Order) {
	if !u.sameWho(w.Who, o) {
		return
	}
	w.Held = u.held(w.Held, o)
	w.Instance = instanceIn(w.Instance, "")
	id := strings.Join([]string{w.Kind, w.Who, numberRE.ReplaceAllString(w.Name, "#")}, " ")
	for _, h := range w.Held {
		id += " " + h.Key + ":" + mode(h.Write)
	}
	i, ok := u.waits[id]
	if !ok {
		w.Guests = guests
		u.waits[id] = len(u.notes.Waits)
		u.notes.Waits = append(u.notes.Waits, w)
		return
	}
	old := &u.notes.Waits[i]
	held := slices.Clone(old.Held)
	for k := range held {
		held[k].Instance = one(held[k].Instance, w.Held[k].Instance)
	}
	old.Held = held
	if old.Guests[0] == guests[0] {
		old.Count = w.Count
	}
	old.Guests = seenIn(old.Guests, guests)
}

// addOrder takes in who writes what, and lockdep's order.
func (u *Union) addOrder(n *Notes, o *Order) {
	for key, held := range n.Writers {
		if !u.common(key, o) {
			continue
		}
		held = u.held(held, o)
		if old, ok := u.notes.Writers[key]; ok {
			held = always(old, held)
		}
		u.notes.Writers[key], u.notes.Names[key] = held, n.Names[key]
	}
	for from, edges := range o.Next {
		for _, e := range edges {
			if u.common(from, o) && u.common(e.To, o) {
				u.order.Next[from] = withEdge(u.order.Next[from], e)
			}
		}
	}
}

func withEdge(edges []Edge, e Edge) []Edge {
	for i := range edges {
		if edges[i].To == e.To {
			edges[i].Dep |= e.Dep
			return edges
		}
	}
	return append(edges, e)
}

// always is what was held every time, here and there.
func always(here, there []Held) []Held {
	var all []Held
	for _, h := range here {
		i := slices.IndexFunc(there, func(t Held) bool { return t.Key == h.Key })
		if i < 0 {
			continue
		}
		h.Write, h.Tried = h.Write && there[i].Write, h.Tried && there[i].Tried
		h.Instance = one(h.Instance, there[i].Instance)
		all = append(all, h)
	}
	return all
}

// one is the instance that was seen here and there.
func one(here, there string) string {
	switch {
	case here == "" || there == "":
		return ""
	case here == there:
		return here
	}
	return oneEach
}

// seenIn adds guests to those that are named.
func seenIn(all, more []string) []string {
	for _, g := range more {
		if len(all) < maxGuests && !slices.Contains(all, g) {
			all = append(slices.Clone(all), g)
		}
	}
	return all
}

// unnumbered is a class's name without what differs from boot to boot.
func unnumbered(name string) string { return classRE.ReplaceAllString(name, "") }
