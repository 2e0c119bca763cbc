// SPDX-License-Identifier: Apache-2.0

package overlap_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/overlap"
	"plugstorm/harness/schedule"
)

const second = time.Second

// A record is a history in the making.
type record struct {
	history.History
	seq int
}

func begin(lanes ...schedule.LaneKinds) *record {
	r := &record{}
	return r.add(history.Event{Type: history.RunStart, Case: &history.Case{Lanes: lanes}})
}

func (r *record) add(e history.Event) *record {
	r.Events = append(r.Events, e)
	return r
}

// up is a guest whose agent is there at a time.
func (r *record) up(guest int, part string, at float64) *record {
	r.add(history.Event{Type: history.GuestStart, Guest: guest, Part: part})
	return r.add(history.Event{Type: history.AgentUp, Guest: guest, At: seconds(at)})
}

func (r *record) end(guest int, at float64) *record {
	return r.add(history.Event{Type: history.GuestEnd, Guest: guest, At: seconds(at)})
}

// begun begins a step and returns its number.
func (r *record) begun(guest int, at float64, s *schedule.Step) int {
	r.seq++
	r.add(history.Event{Type: history.StepBegin, Guest: guest, Seq: r.seq, At: seconds(at), Step: s})
	return r.seq
}

func (r *record) over(guest, seq int, at float64) *record {
	return r.add(history.Event{Type: history.StepEnd, Guest: guest, Seq: seq, At: seconds(at), Outcome: op.Done})
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// step makes a step from a kind and its arguments in JSON.
func step(lane, kind, args string) *schedule.Step {
	var s schedule.Step
	if err := json.Unmarshal(fmt.Appendf(nil, `{"lane":%q,"op":{"kind":%q,"args":%s}}`, lane, kind, args), &s); err != nil {
		panic(err) // a mistake in a test
	}
	return &s
}

func dimmAdd(lane string) *schedule.Step { return step(lane, "dimm-add", `{"id":"dimm0"}`) }
func pause(lane string) *schedule.Step   { return step(lane, "vm-pause", `{"ms":1}`) }
func cpuOff(lane string) *schedule.Step  { return step(lane, "cpu-offline", `{"cpu":1}`) }

func pairs(t *overlap.Table) map[overlap.Pair]overlap.Count {
	all := map[overlap.Pair]overlap.Count{}
	for _, p := range t.Pairs {
		all[p.Pair] = p.Count
	}
	return all
}

func TestPairs(t *testing.T) {
	r := begin().up(1, "", 1)
	a := r.begun(1, 2, pause("p"))
	b := r.begun(1, 2.005, dimmAdd("a")) // close
	c := r.begun(1, 3, dimmAdd("b"))
	r.over(1, a, 4).over(1, b, 5)
	d := r.begun(1, 5, cpuOff("a")) // touches b in time, of its lane
	r.over(1, c, 5)                 // touches d
	r.over(1, d, 6)
	r.up(2, "", 7)
	r.over(2, r.begun(2, 7, dimmAdd("a")), 11) // another guest
	table := overlap.Of(&r.History)
	want := map[overlap.Pair]overlap.Count{
		{"dimm-add", "vm-pause"}: {Count: 2, Time: 1995*time.Millisecond + second},
		{"dimm-add", "dimm-add"}: {Count: 1, Time: 2 * second},
	}
	if diff := cmp.Diff(want, pairs(table)); diff != "" {
		t.Error(diff)
	}
	if table.Count != 3 || table.Close != 1 || table.Storm != 9*second {
		t.Errorf("%+v", table)
	}
	// 2 and 3 of the first pair, 3 and 4 of the second.
	if table.PairSeconds != 4 || table.PairsPerSecond() != 4.0/9 || table.PerSecond() != 3.0/9 {
		t.Errorf("%d pairs in a second's time, %f, %f", table.PairSeconds, table.PairsPerSecond(), table.PerSecond())
	}
}

// TestNeverEnds: what the end of its guest, or of the record, cuts off.
func TestNeverEnds(t *testing.T) {
	r := begin().up(1, "", 1)
	r.begun(1, 2, pause("p"))
	r.begun(1, 3, dimmAdd("a"))
	if n := len(overlap.Of(&r.History).Pairs); n != 0 {
		t.Errorf("%d pairs of steps whose end nobody knows", n)
	}
	table := overlap.Of(&r.end(1, 5).History)
	want := map[overlap.Pair]overlap.Count{{"dimm-add", "vm-pause"}: {Count: 1, Time: 2 * second}}
	if diff := cmp.Diff(want, pairs(table)); diff != "" {
		t.Error(diff)
	}
}

// TestNever: what could have overlapped is what two lanes of one part can do,
// if that part had a guest.
func TestNever(t *testing.T) {
	a := schedule.LaneKinds{Lane: "a", Kinds: []string{"dimm-add"}}
	b := schedule.LaneKinds{Lane: "b", Kinds: []string{"vm-pause", "dimm-add"}}
	one, other := a, b
	one.Part, other.Part = "first", "second"
	for name, tt := range map[string]struct {
		lanes []schedule.LaneKinds
		part  string
		want  []overlap.Pair
	}{
		"recorded":          {[]schedule.LaneKinds{a, b}, "", []overlap.Pair{{"dimm-add", "dimm-add"}}},
		"of two parts":      {[]schedule.LaneKinds{one, other}, "first", []overlap.Pair{}},
		"of another's part": {[]schedule.LaneKinds{{Lane: "c", Part: "x", Kinds: []string{"cpu-offline"}}, {Lane: "d", Part: "x", Kinds: []string{"cpu-offline"}}}, "first", []overlap.Pair{}},
		"of this part":      {[]schedule.LaneKinds{{Lane: "c", Part: "x", Kinds: []string{"cpu-offline"}}, {Lane: "d", Part: "x", Kinds: []string{"cpu-offline"}}}, "x", []overlap.Pair{{"cpu-offline", "cpu-offline"}}},
		"an old record":     {nil, "", []overlap.Pair{{"cpu-offline", "dimm-add"}, {"cpu-offline", "vm-pause"}}},
	} {
		r := begin(tt.lanes...).up(1, tt.part, 1)
		p, d := r.begun(1, 2, pause("b")), r.begun(1, 2, dimmAdd("a"))
		r.over(1, p, 3).over(1, d, 3)
		if tt.lanes == nil {
			r.over(1, r.begun(1, 4, cpuOff("c")), 5)
		}
		if diff := cmp.Diff(tt.want, overlap.Of(&r.History).Never); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestWorkloads: a workload runs from the end of its start to the begin of its
// stop, or until it ends by itself, and counts apart.
func TestWorkloads(t *testing.T) {
	start := func(id string) *schedule.Step {
		return step("work", "workload-start", fmt.Sprintf(`{"id":%q,"name":"slab-storm","params":{}}`, id))
	}
	r := begin().up(1, "", 1)
	r.over(1, r.begun(1, 1, start("w1")), 2)
	r.over(1, r.begun(1, 2, start("w2")), 3)
	d := r.begun(1, 3, dimmAdd("a"))
	stop := r.begun(1, 4, step("work", "workload-stop", `{"id":"w1"}`))
	r.add(history.Event{Type: history.Workload, Guest: 1, At: 5 * second, Text: `{"id":"w2","name":"slab-storm"}`})
	r.over(1, stop, 6).over(1, d, 7)
	failed := r.begun(1, 8, start("w3"))
	r.add(history.Event{Type: history.StepEnd, Guest: 1, Seq: failed, At: 9 * second, Outcome: op.Broken})
	r.over(1, r.begun(1, 9, dimmAdd("a")), 10)
	r.end(1, 11)
	want := []overlap.WorkloadCount{
		{Kind: "dimm-add", Workload: "slab-storm", Count: overlap.Count{Count: 2, Time: 3 * second}},
		{Kind: "workload-start", Workload: "slab-storm", Count: overlap.Count{Count: 1, Time: second}},
		{Kind: "workload-stop", Workload: "slab-storm", Count: overlap.Count{Count: 1, Time: second}},
	}
	table := overlap.Of(&r.History)
	if diff := cmp.Diff(want, table.Workloads); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[overlap.Pair]overlap.Count{{"dimm-add", "workload-stop"}: {Count: 1, Time: 2 * second}}, pairs(table)); diff != "" {
		t.Error(diff)
	}
}

func TestMeets(t *testing.T) {
	meet := func(s *schedule.Step, lane string, index int) *schedule.Step {
		s.Meet = &schedule.Meet{Lane: lane}
		if index >= 0 {
			s.Meet.Step = &index
		}
		return s
	}
	other := dimmAdd("a")
	other.Index = 7
	r := begin().up(1, "", 1)
	a := r.begun(1, 2, other)
	b := r.begun(1, 2, meet(pause("p"), "a", 7))
	r.over(1, b, 3)
	c := r.begun(1, 3, meet(pause("p"), "a", 6)) // over when it was met
	r.over(1, c, 4).over(1, a, 4)
	r.over(1, r.begun(1, 5, meet(pause("p"), "a", -1)), 6)
	if got, want := overlap.Of(&r.History).Meets, (overlap.Meets{Planned: 3, Met: 2, Overlapped: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestCountsAsSlowly: the counter agrees with comparing all with all.
func TestCountsAsSlowly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := begin().up(1, "", 0)
		type span struct {
			lane     string
			from, to float64
		}
		var spans []span
		open := map[string]int{}
		now := 0.0
		for range rapid.IntRange(0, 30).Draw(t, "events") {
			now += float64(rapid.IntRange(0, 3).Draw(t, "later"))
			lane := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "lane")
			if seq, busy := open[lane]; busy {
				r.over(1, seq, now)
				for i := range spans {
					if spans[i].lane == lane && spans[i].to < 0 {
						spans[i].to = now
					}
				}
				delete(open, lane)
			} else {
				open[lane] = r.begun(1, now, dimmAdd(lane))
				spans = append(spans, span{lane, now, -1})
			}
		}
		r.end(1, now)
		var want overlap.Count
		for i := range spans {
			if spans[i].to < 0 {
				spans[i].to = now
			}
		}
		for i, a := range spans {
			for _, b := range spans[:i] {
				if d := min(a.to, b.to) - max(a.from, b.from); a.lane != b.lane && d > 0 {
					want.Count++
					want.Time += seconds(d)
				}
			}
		}
		if got := pairs(overlap.Of(&r.History))[overlap.Pair{"dimm-add", "dimm-add"}]; got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

// TestDamaged: times that make no sense do no harm.
func TestDamaged(t *testing.T) {
	r := begin().up(1, "", 5)
	a := r.begun(1, 4, pause("p"))
	b := r.begun(1, -3, dimmAdd("a"))
	r.over(1, a, 1e9).over(1, a, 3).over(1, b, -7).over(3, 99, 1).end(2, 1)
	r.add(history.Event{Type: history.StepBegin, Guest: 1, Seq: 9})
	if table := overlap.Of(&r.History); table.Count != 1 || table.PairSeconds < 1 {
		t.Errorf("%+v", table)
	}
}
