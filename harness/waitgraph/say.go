// SPDX-License-Identifier: Apache-2.0

package waitgraph

import (
	"fmt"
	"regexp"
	"strings"
)

// kinds says how reports speak of the kinds of waits, and where the kernel's
// documentation of them is its code.
var kinds = map[string]struct{ what, verb string }{
	"stop":   {"kthread_stop of", "it takes"},
	"park":   {"kthread_park of", "it takes"},
	"create": {"creation of a thread by", "it takes"},
	"flush":  {"flush of", "it takes"},
	"cancel": {"synchronous cancelling of", "it takes"},
	"remove": {"removal of", "its users take"},
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
	if name, ok := c.names[key]; ok {
		return classRE.ReplaceAllString(name, "")
	}
	return "a lock"
}

// Title says what is predicted, without numbers.
func (c Cycle) Title() string {
	k := kinds[c.Wait.Kind]
	title := fmt.Sprintf("predicted deadlock: %s %s under %s, which %s", k.what, c.who(), c.name(c.Lock.Key), k.verb)
	if len(c.Path) > 1 {
		title = fmt.Sprintf("predicted deadlock: %s %s under %s, for which holders of %s wait, which %s", k.what, c.who(),
			c.name(c.Lock.Key), c.name(c.Path[0]), k.verb)
	}
	return title
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

// Text says why, for people. It says clearly that nothing has hung.
func (c Cycle) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Nothing hangs: this deadlock is predicted from what was seen at different times.\n")
	fmt.Fprintf(&b, "1. %s %s, seen %d times, waits under: %s\n", kinds[c.Wait.Kind].what, c.who(), c.Wait.Count, c.list(c.Wait.Held))
	for _, fn := range c.Wait.Stack {
		fmt.Fprintf(&b, "    %s\n", fn)
	}
	subject := c.who()
	if c.Wait.Kind == "remove" {
		subject = "a user of " + subject
	}
	fmt.Fprintf(&b, "2. %s takes %s (%s), seen %d times, every time under: %s\n", subject, c.name(c.Take.Key), mode(c.Take.Write), c.Take.Count,
		c.list(c.Take.Held))
	for i := 1; i < len(c.Path); i++ {
		fmt.Fprintf(&b, "%d. %s was taken under %s (lockdep's order; by other tasks)\n", i+2, c.name(c.Path[i]), c.name(c.Path[i-1]))
	}
	fmt.Fprintf(&b, "If both come at the same time, %s waits for %s, whose holder waits for it.\n", subject, c.name(c.Lock.Key))
	for _, key := range c.Queued {
		fmt.Fprintf(&b, "It needs a queued writer of %s, one party more: both sides only read, and a queued writer, of which some were seen, blocks new readers.\n", c.name(key))
	}
	if c.Alike {
		fmt.Fprintf(&b, "Several locks of class %s were seen: whether both sides mean the same one is not known.\n", c.name(c.Lock.Key))
	}
	return b.String()
}
