// SPDX-License-Identifier: Apache-2.0

// Package schedule decides which op comes when, on which lane, from a seed.
// It is pure: the same seed, scenario, machine and budget give the same
// steps, whatever the guest answers, so that two kernels can be compared.
package schedule

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/calls"
	"plugstorm/harness/catalog"
	"plugstorm/harness/op"
	"plugstorm/harness/vm"
)

// A Scenario is a way to storm a guest.
type Scenario struct {
	Name, Doc string
	Source    string // where the idea comes from: a thread, a commit; may be empty
	Userland  string // what else the initramfs holds, see images.Userlands; empty for nothing
	ColdDIMMs int    // that are plugged at boot, and that no op touches

	// FreshVCPUs is how many of the vCPUs that are there at boot, the last, have not been
	// online before a lane adds them: what a kernel makes of a CPU the first time only is
	// made then, and can fail.
	FreshVCPUs int

	Lanes     []Lane             // run side by side, each step by step
	Workloads []op.WorkloadStart // run in the guest from the start to the end
	Length    time.Duration      // default duration of a run, boots excluded
	First     bool               // end with the first finding: there is nothing to learn after it

	KernelArgs []string   // in addition to the machine's
	Variants   [][]string // of further kernel arguments; each guest boots with one of them, see GuestArgs

	// Meet is how many of its steps, in percent, begin together with a step of
	// another lane; see Meet.
	Meet int

	Finale *Finale // how each guest's turn ends; nil: it just does

	Parts []*Scenario   // if it is made of several, see InTurn
	Slice time.Duration // of each part's guest; 0 without parts
	near  []nears       // each part's, of one that has a focus; see Toward
	sites []calls.Site  // that its ops have fail besides those of our lists; see Failing

	Widen   []Widening // delays that a guest may get, see Widenings
	NoRules bool       // goes without the rule checker: for measuring, or because all of its guests break at once
}

// For is the scenario as a kernel can run it. One without our modules goes
// without the workloads that need them.
func (s *Scenario) For(prebuilt bool) *Scenario {
	if !prebuilt {
		return s
	}
	fit := *s
	fit.Parts = nil
	for _, part := range s.Parts {
		fit.Parts = append(fit.Parts, part.For(prebuilt))
	}
	fit.Workloads, fit.Finale = withoutModules(s.Workloads), s.Finale.prebuilt()
	fit.Lanes = slices.Clone(s.Lanes)
	for i := range fit.Lanes {
		fit.Lanes[i].Workloads = slices.DeleteFunc(slices.Clone(s.Lanes[i].Workloads),
			func(w *agent.Workload) bool { return len(w.Modules) > 0 })
	}
	return &fit
}

// Scenarios is the catalog of all scenarios.
var Scenarios = catalog.New("suite", func(s *Scenario) (string, string) { return s.Name, s.Doc })

// A Lane does one step after another, with devices that no other lane
// touches.
type Lane struct {
	Name string
	Mix  []Weight      // what it does
	Gap  time.Duration // mean pause between steps, exponentially distributed; 0 for none

	DIMMs     int // DIMM slots it owns
	MaxUnits  int // largest DIMM, in the machine's units; 0 means 1
	VCPUs     int // pluggable vCPUs it owns
	CPUs      int // CPUs that are always there which it owns, CPU 0 never among them
	Workloads []*agent.Workload
	Threads   int // of a drawn workload, at most
	AtOnce    int // drawn workloads that run at the same time, at most; 0 means 1

	part string // the name of the scenario it comes from, see InTurn
}

// A Weight says how often a lane draws an op of a kind, relative to its others.
type Weight struct {
	Kind   *op.Kind
	Weight int
}

// A Step is one op of a schedule.
type Step struct {
	Lane  string        `json:"lane"`
	Index int           `json:"index"` // in its lane, from 0
	Gap   time.Duration `json:"gap_ns"`
	Op    op.Spec       `json:"op"`
	Meet  *Meet         `json:"meet,omitempty"` // the Gap comes before it

	Finale int `json:"finale,omitempty"` // of a step on FinaleLane: the number of the guest, from 1, whose turn it ended
}

// A Sequence is the list of a lane's steps: endless when drawn, finite when
// recorded. It is not safe for concurrent use.
type Sequence struct {
	lane     Lane
	state    *op.State
	rand     *rand.Rand
	index    int
	next     *Step  // drawn or taken from the record, and not begun yet
	recorded []Step // nil for a drawn sequence
	meetings meetings
	callers  map[int][]Caller // of a recorded sequence, by the index of the step that they meet
}

// freshOf is FreshVCPUs of the scenario, or of one of its parts.
func (s *Scenario) freshOf(part string) int {
	for _, p := range s.Parts {
		if p.Name == part {
			return p.FreshVCPUs
		}
	}
	return s.FreshVCPUs
}

// Sequences makes the sequences of all lanes of a scenario, which share the
// machine's devices out among themselves in order. Parts, which never have a
// guest in common, each share out the whole machine.
func Sequences(s *Scenario, m *vm.Machine, b vm.Budget, seed int64) []*Sequence {
	var all []*Sequence
	dimm, vcpu, cpu := 0, m.VCPU.Boot, 1
	part := ""
	for i, lane := range s.Lanes {
		if lane.part != part {
			dimm, vcpu, cpu, part = 0, m.VCPU.Boot, 1, lane.part
		}
		share := op.Share{
			Name: lane.Name, FirstDIMM: dimm, DIMMs: lane.DIMMs, MaxUnits: lane.MaxUnits,
			VCPUs: numbers(vcpu, lane.VCPUs, m.VCPU.Boot+m.VCPU.Plug),
			CPUs:  numbers(cpu, lane.CPUs, m.VCPU.Boot), Workloads: lane.Workloads, Threads: lane.Threads, AtOnce: lane.AtOnce,
			Fresh: s.freshOf(lane.part), Sites: s.sites,
		}
		dimm, vcpu, cpu = dimm+lane.DIMMs, vcpu+lane.VCPUs, cpu+lane.CPUs
		all = append(all, &Sequence{
			lane: lane, state: op.NewState(m, b, share), rand: laneRand(seed, lane.Name), meetings: meetingsOf(s, i, seed),
		})
	}
	return all
}

// numbers lists up to n numbers from first, below end.
func numbers(first, n, end int) []int {
	var list []int
	for i := first; i < first+n && i < end; i++ {
		list = append(list, i)
	}
	return list
}

// laneRand is the randomness of a lane: its own, so that a change to one lane
// leaves the others as they are.
func laneRand(seed int64, lane string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(lane))
	return rand.New(rand.NewPCG(uint64(seed), h.Sum64()))
}

// Lane returns the lane's name.
func (q *Sequence) Lane() string { return q.lane.Name }

// Setup lists the ops that bring a fresh guest to where the steps begun so
// far, all done, would have brought it.
func (q *Sequence) Setup() []op.Spec { return q.state.Setup() }

// Replay makes fresh sequences replay recorded steps instead of drawing. A
// step on a lane that isn't among them is an error, but for those of finales,
// which belong to no lane: see RecordedFinale.
func Replay(all []*Sequence, steps []Step) error {
	byLane := map[string]*Sequence{}
	for _, q := range all {
		byLane[q.lane.Name] = q
		q.recorded, q.callers = []Step{}, map[int][]Caller{}
	}
	there := callers(steps)
	for _, step := range steps {
		if step.OfFinale() {
			continue
		}
		q := byLane[step.Lane]
		if q == nil {
			return blame.Errorf(blame.User, "replay it with the plugstorm that recorded it",
				"step %d is on lane %q, which this suite doesn't have", step.Index, step.Lane)
		}
		step.Meet = recordedMeet(step.Meet, there)
		if err := expect(byLane, step); err != nil {
			return err
		}
		q.recorded = append(q.recorded, step)
	}
	return nil
}

// Next returns the lane's next step, the same one until Begin is called. It
// reports false when nothing is left that the lane could do on this machine,
// or the recording has ended.
func (q *Sequence) Next() (Step, bool) {
	if q.next == nil {
		take := q.draw
		if q.recorded != nil {
			take = q.take
		}
		step, ok := take()
		if !ok {
			return Step{}, false
		}
		q.next = &step
	}
	return *q.next, true
}

// Begin says that the step that Next returned is begun. One that isn't, because
// the guest ended during its gap, is the first step in the next guest.
func (q *Sequence) Begin() {
	q.next.Op.Op.Apply(q.state)
	q.next = nil
}

func (q *Sequence) draw() (Step, bool) {
	fit := q.possible()
	if len(fit) == 0 {
		return Step{}, false
	}
	step := Step{Lane: q.lane.Name, Index: q.index, Op: fit.draw(q.rand)}
	if q.lane.Gap > 0 {
		step.Gap = time.Duration(q.rand.ExpFloat64() * float64(q.lane.Gap))
	}
	step.Meet = q.meetings.draw()
	q.index++
	return step, true
}

func (q *Sequence) take() (Step, bool) {
	if len(q.recorded) == 0 {
		return Step{}, false
	}
	step := q.recorded[0]
	q.recorded = q.recorded[1:]
	return step, true
}

// candidates are the ops that fit the state, each with its weight.
type candidates []struct {
	spec   op.Spec
	weight int
}

// possible draws one op of every kind of the mix and keeps those that fit.
func (q *Sequence) possible() candidates {
	var fit candidates
	for _, w := range q.lane.Mix {
		if o := w.Kind.Draw(q.rand, q.state); o != nil && w.Weight > 0 {
			fit = append(fit, struct {
				spec   op.Spec
				weight int
			}{op.Spec{Kind: w.Kind, Op: o}, w.Weight})
		}
	}
	return fit
}

func (c candidates) draw(r *rand.Rand) op.Spec {
	return c[pickWeight(r, len(c), func(i int) int { return c[i].weight })].spec
}

// pickWeight draws one of n by weight, and returns its index.
func pickWeight(r *rand.Rand, n int, weight func(i int) int) int {
	total := 0
	for i := range n {
		total += weight(i)
	}
	left := r.IntN(total)
	for i := range n {
		if left -= weight(i); left < 0 {
			return i
		}
	}
	panic("schedule: a weight is negative")
}
