// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/calls"
	"plugstorm/harness/history"
	"plugstorm/harness/known"
	"plugstorm/harness/op"
	"plugstorm/harness/overlap"
	"plugstorm/harness/schedule"
	"plugstorm/harness/splat"
	"plugstorm/harness/waitgraph"
)

// Judge reads a run's record and says what it showed.
func Judge(in Input) *Verdict {
	h := Begin(in.Known)
	h.judge.record.Case = in.History.Case
	for _, e := range in.History.Events {
		h.Event(e)
	}
	return h.Verdict(in.History.Cut, in.Consoles)
}

// A Hearing judges a record that comes event by event, so that memory doesn't
// grow with its length (but for what the steps and console marks of a run are
// about: some megabytes an hour).
type Hearing struct{ judge *judge }

// Begin begins a hearing. The set of known issues may be nil.
func Begin(set *known.Set) *Hearing {
	return &Hearing{&judge{
		known: set,
		verdict: &Verdict{
			Findings: []Finding{}, Ops: map[string]*Counts{}, Guests: []Guest{},
			PerMinute: []int{}, Workloads: map[string]uint64{}, Refused: map[string]uint64{},
		},
		guests:   map[int]*guestTrace{},
		found:    map[sightingKey]int{},
		excused:  map[excuseKey]bool{},
		overlaps: overlap.NewCounter(),
		together: waitgraph.NewUnion(), predicted: map[string]bool{},
	}}
}

// Event takes the record's next event.
func (h *Hearing) Event(e history.Event) {
	if e.Type == history.RunStart && e.Case != nil {
		h.judge.record.Case = *e.Case
	}
	if e.Disowned {
		h.judge.guest(e.Guest).disowned = true
	}
	h.judge.event(e)
}

// Verdict ends the hearing. cut says that the record's last line was
// incomplete, consoles are the console logs by guest.
func (h *Hearing) Verdict(cut bool, consoles map[int][]byte) *Verdict {
	j := h.judge
	j.record.Cut, j.consoles = cut, consoles
	for _, see := range j.sightings {
		see()
	}
	for _, number := range slices.Sorted(maps.Keys(j.guests)) {
		j.consoleFindings(number, j.guests[number])
	}
	j.finish()
	return j.verdict
}

type judge struct {
	known    *known.Set
	record   history.History // without events
	consoles map[int][]byte
	verdict  *Verdict
	guests   map[int]*guestTrace
	found    map[sightingKey]int // index in verdict.Findings
	excused  map[excuseKey]bool  // what has been filed as the host's fault
	ended    bool                // the run came to its planned end
	done     int                 // steps of the schedule that were done
	firstUp  time.Duration
	runEnd   time.Duration

	trends   trendTrace
	overlaps *overlap.Counter
	calls    []calls.Result

	together  *waitgraph.Union // what all guests have told of their waits
	predicted map[string]bool  // identities of predicted deadlocks

	sightings []func() // what events showed, to be filed in their order
}

// A sightingKey tells findings apart: one identity may have several callers, and
// a known issue explains those that it names alone.
type sightingKey struct{ identity, known string }

// A guestTrace is what the history says of one guest.
type guestTrace struct {
	Guest
	up, blind, end time.Duration // since the start of the run; 0: not
	started, ended bool          // it has a GuestStart, a GuestEnd
	marks          []mark        // by offset
	host           []sample      // by time
	steps          map[int]*stepTrace
	rules          *ruleTrace     // nil: the checker was not to be there
	stuck          *history.Event // tasks stayed blocked, and nothing shows a cycle
	waits          waitTrace      // what it said of its waits
	dead           *Finding       // of a known issue, and a task died of it
	disowned       bool           // it went on from a damaged snapshot: nothing that it shows is the kernel's
}

// A mark says when the console byte at offset came.
type mark struct {
	offset int64
	at     time.Duration
}

type stepTrace struct {
	kind, name string
	setup      bool
	begin, end time.Duration // end 0: never
}

func (j *judge) guest(number int) *guestTrace {
	g := j.guests[number]
	if g == nil {
		g = &guestTrace{Guest: Guest{Number: number}, steps: map[int]*stepTrace{}}
		j.guests[number] = g
	}
	return g
}

// event takes one line of the history in.
func (j *judge) event(e history.Event) {
	j.overlaps.Add(e)
	switch e.Type {
	case history.GuestStart, history.Snapshot, history.AgentUp, history.Console, history.Wait, history.Host, history.Blind:
		j.guest(e.Guest).event(e)
		if e.Type == history.AgentUp && j.firstUp == 0 {
			j.firstUp = e.At
		}
		if e.Type == history.Host {
			j.trends.event(e)
		}
	case history.StepBegin:
		j.stepBegin(e)
	case history.StepEnd:
		j.stepEnd(e)
		j.failedCalls(e)
	case history.Silent:
		j.sight(e, own(e, "the guest went silent", "harness:silent"))
	case history.Stuck:
		j.sightings = append(j.sightings, func() { j.stuck(e) })
	case history.Workload:
		j.workload(e)
	case history.Zones:
		j.zones(e)
	case history.Books:
		j.books(e)
	case history.Waits:
		j.waits(e)
	case history.Rules:
		j.ruleCheck(e)
	case history.GuestEnd:
		j.guestEnd(e)
	case history.Fault:
		j.verdict.Faults = append(j.verdict.Faults, Fault{At: e.At, Party: e.Party, Text: e.Text, Next: e.Next})
	case history.RunEnd:
		j.ended, j.runEnd = true, e.At
	}
}

// event takes in what only says something of the guest itself.
func (g *guestTrace) event(e history.Event) {
	switch e.Type {
	case history.GuestStart:
		g.Start, g.Restored, g.started = e.At, e.Restored, true
	case history.Snapshot:
		g.Snapshot = append(g.Snapshot, e.Text)
	case history.AgentUp:
		g.up, g.Boot = e.At, e.At-g.Start
	case history.Console:
		g.marks = append(g.marks, mark{e.Offset, e.At})
	case history.Wait:
		g.Waited, g.WaitedFor = e.Waited, e.Text
	case history.Host:
		g.Private = max(g.Private, e.Private)
		g.host = append(g.host, sample{e.At, e.Starved})
	case history.Blind:
		g.blind = cmp.Or(g.blind, e.At)
	}
}

// workload takes in what a workload did, or that it ended by itself.
func (j *judge) workload(e history.Event) {
	var stats agent.WorkloadStats
	if err := json.Unmarshal([]byte(e.Text), &stats); err != nil {
		j.fault(e.At, fmt.Sprintf("guest %d: what a workload did can't be read: %v", e.Guest, err), "look at its workload events in "+history.File)
		return
	}
	j.verdict.Workloads[stats.Name] += stats.Rounds
	j.verdict.Refused[stats.Name] += stats.Refused
	if stats.Error != "" {
		j.fault(e.At, fmt.Sprintf("guest %d: workload %s ended by itself: %s", e.Guest, stats.Name, stats.Error),
			"without it the guest was not hammered as planned")
	}
}

// describe names a step as reports show it.
func describe(s *schedule.Step) string {
	args, _ := json.Marshal(s.Op.Op)
	return fmt.Sprintf("%s: %s %s", s.Lane, s.Op.Kind.Name, args)
}

func (j *judge) stepBegin(e history.Event) {
	if e.Step != nil {
		j.guest(e.Guest).steps[e.Seq] = &stepTrace{kind: e.Step.Op.Kind.Name, name: describe(e.Step), setup: e.Setup, begin: e.At}
	}
}

func (j *judge) stepEnd(e history.Event) {
	kind := "unknown op"
	if step := j.guest(e.Guest).steps[e.Seq]; step != nil {
		kind, step.end = step.kind, e.At
		j.count(e, step)
	} else {
		j.fault(e.At, fmt.Sprintf("guest %d: step %d ends and has not begun", e.Guest, e.Seq), "was the record damaged?")
	}
	if e.Outcome == op.Hung {
		j.sight(e, own(e, "hung step: "+kind, "harness:hung:"+kind))
	}
}

// own is a finding of the harness's own: what the guest's console can't say.
func own(e history.Event, title, identity string) splat.Finding {
	return splat.Finding{
		Title: title, Type: splat.TypeHang, Detector: "harness", Identity: identity,
		Stack: []string{}, CPU: -1, Start: -1, End: -1, Text: e.Text,
	}
}

// sight files what an event shows, at the end of the hearing: a later event may
// say that nothing of this guest counts.
func (j *judge) sight(e history.Event, f splat.Finding) {
	j.sightings = append(j.sightings, func() { j.add(e.Guest, e.At, f) })
}

// ownEnds are QEMU's reasons (SHUTDOWN event) that mean that the guest ended
// by itself, which nothing of ours asks it to.
var ownEnds = map[string]string{
	"guest-reset":    "unexpected reboot",
	"guest-shutdown": "unexpected shutdown",
	"guest-panic":    "the guest told QEMU of a panic",
}

func (j *judge) guestEnd(e history.Event) {
	g := j.guest(e.Guest)
	g.end, g.Life, g.End, g.ended = e.At, e.At-g.Start, e.Text, true
	if g.blind != 0 {
		g.Blind = e.At - g.blind
	}
	if title, ok := ownEnds[e.Shutdown]; ok {
		j.sight(e, splat.Finding{
			Title: title, Type: splat.TypeReboot, Detector: "harness", Identity: "harness:" + e.Shutdown,
			Fatal: true, Stack: []string{}, CPU: -1, Start: -1, End: -1, Text: e.Text,
		})
	}
}

// AboutKernel reports whether a complaint says something about the kernel
// under test. What doesn't is a fault of somebody else's, and a run with it is
// unknown.
func AboutKernel(f splat.Finding) bool {
	return f.Type != splat.TypeLostSight && f.Title != splat.InitDied
}

// consoleFindings reads a guest's console log. That its tasks were stuck is a
// finding by itself only if the kernel has not said so.
func (j *judge) consoleFindings(number int, g *guestTrace) {
	explained := false
	found, lost := splat.Search(j.consoles[number])
	if lost > 0 {
		j.fault(g.end, fmt.Sprintf("guest %d: %d complaints are more than we can keep", number, lost), "read its console: plugstorm triage")
	}
	for _, f := range found {
		at := g.when(f.Start)
		switch {
		case f.Type == splat.TypeLostSight:
			j.fault(at, f.Title, "build the kernel with larger LOCKDEP_*_BITS")
		case f.Title == splat.InitDied:
			// The agent's own mistake, memory that the kernel corrupted, and a
			// translation that TCG mixed up all look like this.
			j.fault(at, fmt.Sprintf("guest %d: PID 1, our agent, died", number), "read the end of its console; replay under KVM if you can")
		default:
			explained = j.add(number, at, f) && f.Type == splat.TypeHang || explained
		}
	}
	if g.stuck != nil && !explained {
		j.add(number, g.stuck.At, own(*g.stuck, "tasks stay blocked after the storm", "harness:stuck"))
	}
}

// stuck takes in that tasks don't go on. If the kernel showed what they wait
// for, its answer is read again.
func (j *judge) stuck(e history.Event) {
	console := j.consoles[e.Guest]
	if t := e.Stuck; t != nil && 0 <= t.From && t.From < t.To && t.To <= int64(len(console)) {
		if f, ok := splat.Deadlock(console[t.From:t.To], t.PIDs); ok {
			j.add(e.Guest, e.At, f)
			return
		}
	}
	j.guest(e.Guest).stuck = &e
}

// fault files something that is not known to be the kernel's.
func (j *judge) fault(at time.Duration, text, next string) {
	j.verdict.Faults = append(j.verdict.Faults, Fault{At: at, Party: string(blame.Harness), Text: text, Next: next})
}

// when says when the byte at an offset came, since the start of the run.
func (g *guestTrace) when(offset int64) time.Duration {
	i, _ := slices.BinarySearchFunc(g.marks, offset, func(m mark, o int64) int { return cmp.Compare(m.offset, o+1) })
	if i == 0 {
		return g.Start
	}
	return g.marks[i-1].at
}

// add files a sighting under its identity and the known issue that it matches.
// It reports false for one that isn't believed.
func (j *judge) add(number int, at time.Duration, f splat.Finding) bool {
	if j.guest(number).disowned {
		return false
	}
	finding := j.guest(number).follow(j.filed(f))
	if finding.Known == "" && j.excuse(number, at, f) { // what is explained needs no excuse
		return false
	}
	key := sightingKey{f.Identity, finding.Known}
	if i, ok := j.found[key]; ok {
		j.verdict.Findings[i].Sightings++
		return true
	}
	j.found[key] = len(j.verdict.Findings)
	g := j.guest(number)
	finding.Guest, finding.At, finding.Steps, finding.Sightings = number, at-g.Start, g.inFlight(at), 1
	if g.up != 0 {
		finding.AtAgent = at - g.up
	}
	j.verdict.Findings = append(j.verdict.Findings, finding)
	return true
}

// filed names the known issue that a complaint matches.
func (j *judge) filed(f splat.Finding) Finding {
	if issue, ok := j.match(f); ok {
		return Finding{Finding: f, Known: issue.ID, Reason: issue.Reason}
	}
	return Finding{Finding: f}
}

// follow puts what hangs down to the known issue of which a task of that guest has died:
// it let go of no lock. A cycle of tasks that wait for each other needs no dead one.
func (g *guestTrace) follow(f Finding) Finding {
	switch {
	case aboutTime(f.Finding):
		if g.dead != nil && f.Known == "" && (f.Waits == nil || len(f.Waits.Cycle) == 0) {
			f.Known = g.dead.Known
			f.Reason = fmt.Sprintf("It follows from %q in the same guest: whoever dies of that keeps the locks that it has. %s", g.dead.Title, g.dead.Reason)
		}
	case f.Known != "" && f.Fatal && g.dead == nil:
		g.dead = &f
	}
	return f
}

// inFlight lists the steps that were going on at a time.
func (g *guestTrace) inFlight(at time.Duration) []string {
	names := []string{}
	for _, seq := range slices.Sorted(maps.Keys(g.steps)) {
		if s := g.steps[seq]; s.begin <= at && (s.end == 0 || s.end >= at) {
			names = append(names, s.name)
		}
	}
	return names
}
