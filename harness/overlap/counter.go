// SPDX-License-Identifier: Apache-2.0

package overlap

import (
	"cmp"
	"encoding/json"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
)

// A Counter takes a history in, event by event. The zero Counter is not ready:
// see NewCounter.
type Counter struct {
	lanes     []schedule.LaneKinds           // as the run recorded them; nil in old records
	parts     map[string]bool                // that had a guest
	done      map[string]*schedule.LaneKinds // what lanes did, by part and lane
	guests    map[int]*guest                 // that live
	storm     time.Duration                  // of those that don't
	pairs     map[Pair]*pairTrace            //
	workloads map[[2]string]*Count           // by kind and workload
	table     Table
}

// A guest is what is under way in one guest.
type guest struct {
	part     string
	up, last time.Duration     // the agent's hello and the last step's end, since the run's start; 0: not yet
	busy     map[any]*activity // steps by seq, workloads by ID
}

// An activity is a step that has begun, or a workload that runs.
type activity struct {
	lane, kind string // of a workload: its ID and its name
	workload   bool
	begin      time.Duration
	step       *schedule.Step // nil of a workload, and of steps that set a guest up
	starts     *op.WorkloadStart
}

// A pairTrace is a Count and the seconds of the run in which the pair
// overlapped, a bit each.
type pairTrace struct {
	Count
	seconds []uint64
}

// NewCounter makes a Counter that has seen nothing yet.
func NewCounter() *Counter {
	return &Counter{
		parts: map[string]bool{}, done: map[string]*schedule.LaneKinds{}, guests: map[int]*guest{},
		pairs: map[Pair]*pairTrace{}, workloads: map[[2]string]*Count{},
	}
}

// Of counts a whole history.
func Of(h *history.History) *Table {
	c := NewCounter()
	for _, e := range h.Events {
		c.Add(e)
	}
	return c.Table()
}

func (c *Counter) guest(number int) *guest {
	g := c.guests[number]
	if g == nil {
		g = &guest{busy: map[any]*activity{}}
		c.guests[number] = g
	}
	return g
}

// Add takes the next event in.
func (c *Counter) Add(e history.Event) {
	switch e.Type {
	case history.RunStart:
		if e.Case != nil {
			c.lanes = e.Case.Lanes
		}
	case history.GuestStart:
		c.guest(e.Guest).part = e.Part
		c.parts[e.Part] = true
	case history.AgentUp:
		c.guest(e.Guest).up = e.At
	case history.StepBegin:
		if e.Step != nil && e.Step.Op.Kind != nil {
			c.begin(e)
		}
	case history.StepEnd:
		c.stepEnd(e)
	case history.Workload:
		var stats agent.WorkloadStats
		if json.Unmarshal([]byte(e.Text), &stats) == nil {
			c.end(c.guest(e.Guest), stats.ID, e.At)
		}
	case history.GuestEnd:
		c.guestEnd(e)
	}
}

func (c *Counter) begin(e history.Event) {
	g := c.guest(e.Guest)
	a := &activity{lane: e.Step.Lane, kind: e.Step.Op.Kind.Name, begin: e.At}
	if !e.Setup && !e.Step.OfFinale() { // a finale is meant to have nothing beside it
		a.step = e.Step
		c.noteDone(g.part, a)
		if e.Step.Meet != nil {
			c.table.Meets.Planned++
			if e.Step.Meet.Step != nil {
				c.table.Meets.Met++
			}
		}
	}
	switch o := e.Step.Op.Op.(type) {
	case *op.WorkloadStart:
		a.starts = o
	default:
		if id, stops := op.Stops(o); stops {
			c.end(g, id, e.At)
		}
	}
	g.busy[e.Seq] = a
}

// noteDone remembers what lanes do, for records that don't say what they could.
func (c *Counter) noteDone(part string, a *activity) {
	key := part + "\x00" + a.lane
	l := c.done[key]
	if l == nil {
		l = &schedule.LaneKinds{Lane: a.lane, Part: part}
		c.done[key] = l
	}
	if !slices.Contains(l.Kinds, a.kind) {
		l.Kinds = append(l.Kinds, a.kind)
	}
}

func (c *Counter) stepEnd(e history.Event) {
	g := c.guest(e.Guest)
	a := g.busy[e.Seq]
	if a == nil {
		return
	}
	c.end(g, e.Seq, e.At)
	g.last = max(g.last, e.At)
	if a.starts != nil && e.Outcome == op.Done {
		g.busy[a.starts.ID] = &activity{lane: "\x00" + a.starts.ID, kind: a.starts.Name, workload: true, begin: e.At}
	}
}

// end ends what is under way in a guest by the name of key, and counts its
// overlaps with what still is: of two that overlap, one ends first.
func (c *Counter) end(g *guest, key any, at time.Duration) {
	a := g.busy[key]
	if a == nil {
		return
	}
	delete(g.busy, key)
	for _, b := range g.busy {
		if from := max(a.begin, b.begin); a.lane != b.lane && at > from {
			c.count(a, b, from, at)
		}
	}
}

func (c *Counter) count(a, b *activity, from, to time.Duration) {
	switch {
	case a.workload && b.workload:
	case a.workload:
		c.withWorkload([2]string{b.kind, a.kind}, to-from)
	case b.workload:
		c.withWorkload([2]string{a.kind, b.kind}, to-from)
	default:
		pair := pairOf(a.kind, b.kind)
		p := c.pairs[pair]
		if p == nil {
			p = &pairTrace{}
			c.pairs[pair] = p
		}
		p.add(to - from)
		p.mark(from, to)
		if max(a.begin, b.begin)-min(a.begin, b.begin) <= CloseTo {
			c.table.Close++
		}
		if a.meets(b) || b.meets(a) {
			c.table.Meets.Overlapped++
		}
	}
}

func (c *Counter) withWorkload(key [2]string, d time.Duration) {
	n := c.workloads[key]
	if n == nil {
		n = &Count{}
		c.workloads[key] = n
	}
	n.add(d)
}

func (n *Count) add(d time.Duration) { n.Count, n.Time = n.Count+1, n.Time+d }

// meets reports whether a met b by plan.
func (a *activity) meets(b *activity) bool {
	return a.step != nil && b.step != nil && a.step.Meet != nil && a.step.Meet.Step != nil &&
		a.step.Meet.Lane == b.lane && *a.step.Meet.Step == b.step.Index
}

// maxSeconds bounds the bits of a pairTrace: a damaged record can say anything.
const maxSeconds = 30 * 24 * 60 * 60

// mark marks the seconds from one time to another, which is not in it.
func (p *pairTrace) mark(from, to time.Duration) {
	for s := max(0, int(from/time.Second)); s <= min(int((to-1)/time.Second), maxSeconds); s++ {
		for s/64 >= len(p.seconds) {
			p.seconds = append(p.seconds, 0)
		}
		p.seconds[s/64] |= 1 << (s % 64)
	}
}

// guestEnd ends what no event has ended.
func (c *Counter) guestEnd(e history.Event) {
	g := c.guest(e.Guest)
	for _, seq := range g.steps() {
		c.end(g, seq, e.At)
		g.last = max(g.last, e.At)
	}
	c.storm += g.storm()
	delete(c.guests, e.Guest)
}

// steps lists the steps that are under way, in their order.
func (g *guest) steps() []int {
	var all []int
	for key := range g.busy {
		if seq, ok := key.(int); ok {
			all = append(all, seq)
		}
	}
	slices.Sort(all)
	return all
}

func (g *guest) storm() time.Duration {
	if g.up == 0 {
		return 0
	}
	return max(0, g.last-g.up)
}

// Table is what has been counted so far. What is still under way doesn't count.
func (c *Counter) Table() *Table {
	t := c.table
	t.Storm = c.storm
	for _, g := range c.guests {
		t.Storm += g.storm()
	}
	t.Pairs, t.Never, t.Workloads = []PairCount{}, []Pair{}, []WorkloadCount{}
	for pair, p := range c.pairs {
		t.Pairs = append(t.Pairs, PairCount{pair, p.Count})
		t.Count += p.Count.Count
		for _, word := range p.seconds {
			t.PairSeconds += bits.OnesCount64(word)
		}
	}
	for pair := range possible(c.couldDo()) {
		if c.pairs[pair] == nil {
			t.Never = append(t.Never, pair)
		}
	}
	for key, n := range c.workloads {
		t.Workloads = append(t.Workloads, WorkloadCount{key[0], key[1], *n})
	}
	t.sort()
	return &t
}

// sort puts a table's lists into their order.
func (t *Table) sort() {
	slices.SortFunc(t.Pairs, func(a, b PairCount) int {
		return cmp.Or(cmp.Compare(b.Count.Count, a.Count.Count), slices.Compare(a.Pair[:], b.Pair[:]))
	})
	slices.SortFunc(t.Never, func(a, b Pair) int { return slices.Compare(a[:], b[:]) })
	slices.SortFunc(t.Workloads, func(a, b WorkloadCount) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), cmp.Compare(b.Count.Count, a.Count.Count), strings.Compare(a.Workload, b.Workload))
	})
}

// couldDo lists what the lanes of those parts that had a guest could do.
func (c *Counter) couldDo() []schedule.LaneKinds {
	var lanes []schedule.LaneKinds
	if c.lanes == nil {
		for _, key := range slices.Sorted(maps.Keys(c.done)) {
			lanes = append(lanes, *c.done[key])
		}
		return lanes
	}
	for _, l := range c.lanes {
		if l.Part == "" || c.parts[l.Part] {
			lanes = append(lanes, l)
		}
	}
	return lanes
}
