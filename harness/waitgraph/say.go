// SPDX-License-Identifier: Apache-2.0

package waitgraph

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// kinds says how reports speak of the kinds of waits, and where the kernel's
// documentation of them is its code.
var kinds = map[string]struct{ what, takes, waits string }{
	"stop":   {"kthread_stop of", "it takes", "it waits for"},
	"park":   {"kthread_park of", "it takes", "it waits for"},
	"create": {"creation of a thread by", "it takes", "it waits for"},
	"flush":  {"flush of", "it takes", "it waits for"},
	"cancel": {"synchronous cancelling of", "it takes", "it waits for"},
	"remove": {"removal of", "its users take", "its users wait for"},
}

var numberRE = regexp.MustCompile(`\d+`)
var classRE = regexp.MustCompile(`#\d+|/\d+$`)

// who names WHO for people, the same in every run.
func (c Cycle) who() string {
	kind, name, _ := strings.Cut(c.Wait.Who, ":")
	switch kind {
	case "work":
		return "work " + name
	case "kernfs":
		return "attribute " + numberRE.ReplaceAllString(c.Wait.Name, "#")
	}
	return name
}

// name of a class; the number that tells it from others of the same name differs
// from boot to boot.
func (c Cycle) name(key string) string {
	name, ok := c.names[key]
	if !ok {
		name, ok = strings.CutPrefix(key, nameOnly)
	}
	if !ok || name == "" {
		return "a lock"
	}
	return unnumbered(name)
}

// Title says what is predicted, without numbers.
func (c Cycle) Title() string {
	k := kinds[c.Wait.Kind]
	title := fmt.Sprintf("predicted deadlock: %s %s under %s, which ", k.what, c.who(), c.name(c.Lock.Key))
	if locks := c.Locks(); len(locks) > 1 {
		return title + k.waits + " by way of " + strings.Join(locks[:len(locks)-1], ", ")
	}
	return title + k.takes
}

// Identity is the same for every sighting of one cycle.
func (c Cycle) Identity() string {
	return "waitcycle: " + c.Wait.Kind + " " + c.who() + ": " + strings.Join(c.Locks(), " -> ")
}

// Locks names the classes in the cycle, from what WHO takes to what the waiter
// holds.
func (c Cycle) Locks() []string {
	var all []string
	for _, key := range c.Path {
		all = append(all, c.name(key))
	}
	return all
}

func mode(write bool) string {
	if write {
		return "write"
	}
	return "read"
}

// list names locks with their modes.
func (c Cycle) list(all []Held) string {
	var names []string
	for _, h := range all {
		how := mode(h.Write)
		if h.Tried {
			how += ", by a trylock"
		}
		names = append(names, fmt.Sprintf("%s (%s)", c.name(h.Key), how))
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// Chain says in a few sentences why this is a deadlock, and that it hasn't
// happened.
func (c Cycle) Chain() string {
	var b strings.Builder
	subject := c.subject()
	fmt.Fprintf(&b, "Predicted, nothing hangs: the parts were seen at different times. A %s %s, which waits for it, was seen %d times%s under %s. ",
		kinds[c.Wait.Kind].what, c.who(), c.Wait.Count, in(c.Wait.Guests), c.list(c.Wait.Held))
	where := ""
	if c.Take.At != "" {
		where = " in " + c.Take.At
	}
	fmt.Fprintf(&b, "Elsewhere, %s takes %s (%s)%s, seen %d times%s, under %s. ",
		subject, c.name(c.Take.Key), mode(c.Take.Write), where, c.Take.Count, in(c.Take.Guests), c.list(c.Take.Held))
	for i := 1; i < len(c.Path); i++ {
		fmt.Fprintf(&b, "Others take %s under %s. ", c.name(c.Path[i]), c.name(c.Path[i-1]))
	}
	b.WriteString("If they meet, each waits for the next.")
	for _, key := range c.Queued {
		fmt.Fprintf(&b, " That takes one party more, a writer that queues for %s between two readers; writers of it were seen.", c.name(key))
	}
	if c.Alike {
		fmt.Fprintf(&b, " There may be several locks of class %s: it is not known that they mean the same one.", c.name(c.Lock.Key))
	}
	return b.String()
}

// in names the guests of the run in which something was seen.
func in(guests []string) string {
	switch {
	case len(guests) == 0:
		return ""
	case len(guests) == maxGuests:
		guests = append(slices.Clone(guests[:maxGuests-1]), "others")
	}
	if len(guests) == 1 {
		return " in " + guests[0]
	}
	return " in " + guests[0] + " (and in " + strings.Join(guests[1:], ", ") + ")"
}

// subject is who takes the lock.
func (c Cycle) subject() string {
	if c.Wait.Kind == "remove" {
		return "a user of " + c.who()
	}
	return c.who()
}
