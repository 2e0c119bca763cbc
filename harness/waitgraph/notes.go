// SPDX-License-Identifier: Apache-2.0

// Package waitgraph predicts deadlocks by waits that lockdep can't see: for a
// kernel thread to stop or to be made, for a work item, for the users of a sysfs
// file. It puts together what the kernel module plugstorm_waits
// (workloads/kmod/plugstorm_waits) has seen apart from each other: somebody
// waited for WHO under a lock, and WHO takes that lock, or one whose holders wait
// for it. It is pure: the guest's texts in, cycles out.
//
// The texts come from the guest, which isn't trusted: they are bounded, and a
// line that can't be read is counted, not believed.
package waitgraph

import (
	"fmt"
	"strconv"
	"strings"

	"plugstorm/harness/fields"
)

// The kernel module, and the files in the guest that it is read from.
const (
	Module    = "plugstorm_waits"
	WaitsFile = "/sys/kernel/debug/plugstorm_waits/waits"
	OrderFile = "/sys/kernel/debug/plugstorm_waits/order"
)

// Header is the first line of both files; its number is the format's.
const Header = "plugstorm_waits 1"

// MaxAnswer bounds each of the module's answers, in bytes.
const MaxAnswer = 2 << 20

// Bounds on what is kept of an answer. They are above the module's own.
const (
	maxTakes   = 8192
	maxWaits   = 1024
	maxHeld    = 16
	maxWriters = 4096
	maxClasses = 8192
	maxEdges   = 1 << 17
	maxText    = 128 // bytes of a name
	maxStack   = 32
)

// A Held is a lock that a task had. Locks are known by the key of their class,
// as /proc/lockdep prints it.
type Held struct {
	Key      string
	Write    bool
	Tried    bool   // it was got by a trylock: its taker never waits for it
	Instance string // "": not always the same; oneEach
}

// A Take says that WHO has taken a lock, waiting for it if need be.
type Take struct {
	Who      string // "thread:kcompactd#", "work:vmstat_shepherd", "kernfs:KEY"
	Key      string
	Lock     string // the class's name, without its number
	Write    bool
	Count    int
	Instance string // "": not always the same
	At       string // the function that took it; "": not always the same place
	Held     []Held // every time

	Guests []string // of a Union's: in which guests, some of them; Count is the first one's
}

// A Wait says that somebody has waited for WHO.
type Wait struct {
	Kind     string // "stop", "park", "create", "flush", "cancel", "remove"
	Who      string
	Count    int
	Instance string // of the kernfs file; "": not always the same
	Name     string // of the kernfs file
	Held     []Held
	Stack    []string // of the first time, innermost first

	Guests []string // as a Take's
}

// Notes are what the module has seen.
type Notes struct {
	DebugLocks  bool // lockdep is on: it is still looking
	Lost        int  // sightings that found no room
	Unavailable []string
	Takes       []Take
	Waits       []Wait
	Writers     map[string][]Held // classes that somebody has taken to write, with what was held every time
	Names       map[string]string // of these, without their numbers
	Bad         int               // lines that could not be read
}

// An Edge says that somebody has waited for, or at least taken, a lock while
// holding another one.
type Edge struct {
	To  string
	Dep uint8 // see the module
}

// byWriter reports whether some holder of the edge's first lock had it to write
// (kernel/locking/lockdep.c calc_dep: DEP_ER_BIT, DEP_EN_BIT).
func (e Edge) byWriter() bool { return e.Dep&0b1010 != 0 }

// byReader reports the same of one who had it to read.
func (e Edge) byReader() bool { return e.Dep&0b0101 != 0 }

// An Order is lockdep's graph.
type Order struct {
	Names   map[string]string // of classes, with their numbers, by key
	Symbols map[string]string // of what has one at its key: another boot of the kernel has the same there
	Next    map[string][]Edge // by key
}

func newOrder() *Order {
	return &Order{Names: map[string]string{}, Symbols: map[string]string{}, Next: map[string][]Edge{}}
}

// lines returns the lines below the header of an answer.
func lines(text string) ([]string, error) {
	if len(text) > MaxAnswer {
		text = text[:strings.LastIndexByte(text[:MaxAnswer], '\n')+1]
	}
	head, rest, _ := strings.Cut(text, "\n")
	if head != Header {
		return nil, fmt.Errorf("the answer doesn't begin with %q", Header)
	}
	var all []string
	for line := range strings.Lines(rest) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			all = append(all, line)
		}
	}
	return all, nil
}

// ParseNotes reads the module's file waits.
func ParseNotes(text string) (*Notes, error) {
	all, err := lines(text)
	if err != nil {
		return nil, err
	}
	n := &Notes{Writers: map[string][]Held{}, Names: map[string]string{}}
	for _, line := range all {
		if !n.line(line) {
			n.Bad++
		}
	}
	return n, nil
}

func (n *Notes) line(line string) bool {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "debug_locks":
		n.DebugLocks = rest == "1"
		return rest == "0" || rest == "1"
	case "lost":
		f := fields.Of(rest)
		n.Lost = f.Small("takes") + f.Small("waits") + f.Small("works")
		return f.OK()
	case "probe":
		name, rest, _ := strings.Cut(rest, " ")
		f := fields.Of(rest)
		if f.Text("state") != "ok" && len(n.Unavailable) < maxHeld {
			n.Unavailable = append(n.Unavailable, name)
		}
		return f.OK() && plain(name)
	case "writer":
		key, rest, _ := strings.Cut(rest, " ")
		held, name, _ := strings.Cut(rest, " ")
		f := fields.Of(held)
		locks := heldIn(f)
		if !f.OK() || !plain(key) || !plain(name) || len(n.Writers) >= maxWriters {
			return false
		}
		n.Writers[key], n.Names[key] = locks, name
		return true
	case "take":
		return n.take(rest)
	case "wait":
		return n.wait(rest)
	}
	return false
}

// take reads "WHO key=KEY mode=r|w n=N inst=PTR many=0|1 at=FUNC held=HELD lock=LOCK".
func (n *Notes) take(line string) bool {
	head, lock, ok := strings.Cut(line, " lock=")
	who, rest, _ := strings.Cut(head, " ")
	f := fields.Of(rest)
	t := Take{
		Who: who, Key: f.Text("key"), Lock: lock, Write: f.Text("mode") == "w", Count: f.Small("n"),
		Instance: instance(f), At: strings.TrimPrefix(f.Text("at"), "-"), Held: heldIn(f),
	}
	if !ok || !f.OK() || !plain(who) || !plain(t.At) || !plain(t.Key) || !plain(lock) || len(n.Takes) >= maxTakes {
		return false
	}
	n.Takes = append(n.Takes, t)
	return true
}

// wait reads "KIND WHO n=N inst=PTR many=0|1 held=HELD name=NAME stack=FUNC<FUNC".
func (n *Notes) wait(line string) bool {
	words := strings.SplitN(line, " ", 3)
	if len(words) != 3 || kinds[words[0]].what == "" {
		return false
	}
	f := fields.Of(words[2])
	w := Wait{
		Kind: words[0], Who: words[1], Count: f.Small("n"), Instance: instance(f), Held: heldIn(f), Name: f.Text("name"),
	}
	for fn := range strings.SplitSeq(f.Text("stack"), "<") {
		if len(w.Stack) == maxStack || !plain(fn) {
			return false
		}
		w.Stack = append(w.Stack, fn)
	}
	if !f.OK() || !plain(w.Who) || !plain(w.Name) || len(n.Waits) >= maxWaits {
		return false
	}
	n.Waits = append(n.Waits, w)
	return true
}

// ParseOrder reads the module's file order. A line that can't be read is left
// out: what isn't known to be ordered makes no cycle.
func ParseOrder(text string) (*Order, error) {
	all, err := lines(text)
	if err != nil {
		return nil, err
	}
	o := newOrder()
	keys := map[string]string{}
	var edges [][]string
	for _, line := range all {
		words := strings.SplitN(line, " ", 4)
		if key, symbol, ok := keyLine(line); ok {
			if len(o.Symbols) < maxClasses && plain(line) && !strings.HasPrefix(symbol, "0x") {
				o.Symbols[key] = symbol
			}
			continue
		}
		switch {
		case len(words) != 4 || !plain(line):
		case words[0] == "class" && len(keys) < maxClasses:
			keys[words[1]], o.Names[words[2]] = words[2], words[3]
		case words[0] == "edge" && len(edges) < maxEdges:
			edges = append(edges, words)
		}
	}
	for _, e := range edges {
		from, to := keys[e[1]], keys[e[2]]
		dep, err := strconv.ParseUint(e[3], 16, 8)
		if from != "" && to != "" && err == nil {
			o.Next[from] = append(o.Next[from], Edge{to, uint8(dep)})
		}
	}
	return o, nil
}

// keyLine reads "key KEY SYMBOL", whose symbol may be of several words.
func keyLine(line string) (key, symbol string, ok bool) {
	rest, ok := strings.CutPrefix(line, "key ")
	key, symbol, found := strings.Cut(strings.TrimRight(rest, "\n"), " ")
	return key, symbol, ok && found
}

// instance reads inst and many; "" if there are several, or none.
func instance(f *fields.List) string {
	inst, many := f.Text("inst"), f.Text("many")
	if many != "0" || inst == "(null)" || strings.Trim(inst, "0") == "" {
		return ""
	}
	return inst
}

// held reads "KEY:MODE:INST,..." or "-".
func heldIn(f *fields.List) []Held {
	text := f.Text("held")
	if text == "-" {
		return nil
	}
	var all []Held
	for item := range strings.SplitSeq(text, ",") {
		parts := strings.Split(item, ":")
		if len(parts) != 3 || !plain(item) || len(all) >= maxHeld {
			f.Fail()
			return nil
		}
		h := Held{Key: parts[0], Write: strings.HasPrefix(parts[1], "w"), Tried: strings.HasSuffix(parts[1], "t"), Instance: parts[2]}
		if h.Instance == "0" {
			h.Instance = ""
		}
		all = append(all, h)
	}
	return all
}

// plain reports whether a text of the guest's is short and printable.
func plain(text string) bool { return fields.Plain(text, maxText) }
