// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plugstorm/harness/blame"
	"plugstorm/harness/focus"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/report/jsondoc"
	"plugstorm/harness/rules"
	"plugstorm/harness/splat"
	"plugstorm/harness/verdict"
)

const second = time.Second

func matcher(t *testing.T, text string) []*Matcher {
	t.Helper()
	m, err := ParseMatcher(text)
	if err != nil {
		t.Fatal(err)
	}
	return []*Matcher{m}
}

// result is one of subject a on x86_64.
func result(seed int64, status verdict.Status, findings ...verdict.Finding) Result {
	return Result{Version: Version, Subject: "a", Machine: "x86_64", By: ours, Suite: "storm", Seed: seed, Budget: second, Status: status, Findings: findings, Done: 10}
}

func finding(title string, at time.Duration) verdict.Finding {
	return verdict.Finding{Finding: splat.Finding{Title: title, Identity: "id " + title, Detector: "d"}, At: at, AtAgent: at - second}
}

func TestCells(t *testing.T) {
	p := Plan{
		Subjects: []Subject{
			{Name: "a", Suite: "s", Machines: []string{"pseries"}, Silent: []string{"x86_64"}},
			{Name: "b", Suite: "t", Machines: []string{"x86_64", "pseries"}},
		},
		Peers: map[string]Peer{"z": {Suite: "peer-z"}, "y": {Behind: "+y", Cold: true}},
	}
	list := func() (all []string) {
		for _, c := range p.Cells() {
			text := c.String() + ": " + c.Suite
			if c.Cold {
				text += ", cold"
			}
			if c.Silent {
				text += ", silent"
			}
			all = append(all, text)
		}
		return all
	}
	want := []string{
		"a on pseries: s", "a on pseries by y: s+y, cold", "a on pseries by z: peer-z",
		"a on x86_64: s, silent", "a on x86_64 by y: s+y, cold, silent", "a on x86_64 by z: peer-z, silent",
		"b on x86_64: t", "b on x86_64 by y: t+y, cold", "b on x86_64 by z: peer-z",
		"b on pseries: t", "b on pseries by y: t+y, cold", "b on pseries by z: peer-z",
	}
	if diff := cmp.Diff(want, list()); diff != "" {
		t.Error(diff)
	}
	p.Machines, p.Peers = []string{"pseries"}, nil
	if diff := cmp.Diff([]string{"a on pseries: s", "b on pseries: t"}, list()); diff != "" {
		t.Error(diff)
	}
}

func TestTable(t *testing.T) {
	p := &Plan{
		Subjects: []Subject{{Name: "a", Suite: "storm", Machines: []string{"x86_64"}, Match: matcher(t, "title right")}},
		Seeds:    6, First: 1, Budget: second,
	}
	elsewhere := result(6, verdict.Found, finding("right", second))
	elsewhere.Budget = 2 * second
	table := NewTable(p, []Result{
		result(1, verdict.Unknown), result(1, verdict.Found, finding("right", 9*second)), // repeated
		result(2, verdict.Found, finding("wrong", 3*second), finding("right", 4*second)),
		result(3, verdict.Found, finding("wrong", 5*second)),
		result(4, verdict.Clean),
		result(5, verdict.Unknown), result(5, verdict.Unknown),
		elsewhere, // another budget
		result(7, verdict.Clean),
	})
	row := table.Rows[0]
	want := Row{
		Cell: p.Cells()[0], Asked: 6, Detected: 3, Missed: 1, Unknown: 1, Unmeasured: 1, Expected: 2,
		FromQEMU: Times{5 * second, 9 * second}, FromAgent: Times{4 * second, 8 * second},
		Detectors: []Count{{"d", 3}}, Titles: []Count{{"wrong", 2}, {"right", 1}},
		First: []Count{{"id wrong", 2}, {"id right", 1}}, Seen: []Count{{"id right", 2}, {"id wrong", 2}}, Ops: 50,
	}
	if diff := cmp.Diff(want, row, cmp.Comparer(func(a, b *Subject) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if table.Complete() {
		t.Error("complete, although a run is unknown and one is missing")
	}
}

// TestShared: identities that do not tell plants apart are named, those that
// two machines share are not.
func TestShared(t *testing.T) {
	p := &Plan{Seeds: 1, Budget: second, Subjects: []Subject{
		{Name: "a", Suite: "storm", Machines: []string{"x86_64", "pseries"}}, {Name: "b", Suite: "storm", Machines: []string{"x86_64"}},
	}}
	of := func(subject, machine, title string) Result {
		r := result(0, verdict.Found, finding(title, second))
		r.Subject, r.Machine = subject, machine
		return r
	}
	table := NewTable(p, []Result{of("a", "x86_64", "one"), of("a", "pseries", "one"), of("b", "x86_64", "two")})
	if len(table.Shared) > 0 || !table.Complete() {
		t.Errorf("%+v", table.Shared)
	}
	table = NewTable(p, []Result{of("a", "x86_64", "one"), of("a", "pseries", "two"), of("b", "x86_64", "one")})
	if diff := cmp.Diff([]Shared{{"id one", []string{"a", "b"}}}, table.Shared); diff != "" {
		t.Error(diff)
	}
}

// drawResults draws results of subjects that a plan has and of others.
func drawResults(t *rapid.T) []Result {
	one := rapid.Custom(func(t *rapid.T) Result {
		r := result(rapid.Int64Range(0, 6).Draw(t, "seed"), rapid.SampledFrom([]verdict.Status{verdict.Found, verdict.Clean, verdict.Unknown, ""}).Draw(t, "status"))
		r.Subject = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "subject")
		if r.Status == verdict.Found {
			r.Findings = []verdict.Finding{finding(rapid.SampledFrom([]string{"right", "wrong", "|\x1b\n"}).Draw(t, "title"), time.Duration(rapid.Int64Range(0, 1e11).Draw(t, "at")))}
		}
		return r
	})
	return rapid.SliceOfN(one, 0, 40).Draw(t, "results")
}

// TestEveryRunIsInOneColumn, whatever is recorded, and more records never
// take away what is told.
func TestEveryRunIsInOneColumn(t *testing.T) {
	match := matcher(t, "title right")
	rapid.Check(t, func(t *rapid.T) {
		p := &Plan{Seeds: 5, First: 1, Budget: second, Subjects: []Subject{
			{Name: "a", Suite: "storm", Machines: []string{"x86_64"}, Match: match}, {Name: "b", Suite: "storm", Silent: []string{"x86_64"}},
		}}
		results := drawResults(t)
		table := NewTable(p, results)
		for _, r := range table.Rows {
			if r.Detected+r.Missed+r.Unknown+r.Unmeasured != r.Asked || r.Expected > r.Detected {
				t.Fatalf("%+v", r)
			}
			sum := 0
			for _, c := range r.First {
				sum += c.N
			}
			if sum != r.Detected || r.FromQEMU.Median > r.FromQEMU.Max {
				t.Fatalf("%d identities of %d detections, %+v", sum, r.Detected, r.FromQEMU)
			}
		}
		more := NewTable(p, slices.Concat(results, drawResults(t)))
		for i, r := range more.Rows {
			before := table.Rows[i]
			if r.Detected < before.Detected || r.Missed < before.Missed || r.Unmeasured > before.Unmeasured {
				t.Fatalf("%+v became %+v", before, r)
			}
		}
	})
}

// TestResultsSurviveAKill: what is cut in the middle of a line is the results
// before it.
func TestResultsSurviveAKill(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		results := drawResults(t)
		var data []byte
		var ends []int
		for _, r := range results {
			line, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			data = append(append(data, line...), '\n')
			ends = append(ends, len(data))
		}
		cut := rapid.IntRange(0, len(data)).Draw(t, "cut")
		got, whole, err := ParseResults(data[:cut])
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for n < len(ends) && ends[n] <= cut {
			n++
		}
		if len(got) != n || n > 0 && whole != ends[n-1] || n == 0 && whole != 0 {
			t.Fatalf("%d results, %d bytes of %d; want %d", len(got), whole, cut, n)
		}
		if n > 0 && !reflect.DeepEqual(got[n-1].First() == nil, results[n-1].First() == nil) {
			t.Fatalf("%+v became %+v", results[n-1], got[n-1])
		}
	})
}

func TestParseResultsErrors(t *testing.T) {
	for _, text := range []string{"{\n", "{}\n", `{"version": 99}` + "\n"} {
		if _, _, err := ParseResults([]byte(text)); blame.Of(err) != blame.User || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestNewResult: times count from the first guest, whichever the finding came
// in, and what a known issue explains is no finding.
func TestNewResult(t *testing.T) {
	v := &verdict.Verdict{
		Status: verdict.Found,
		Guests: []verdict.Guest{{Number: 1, Start: second, Boot: 10 * second}, {Number: 2, Start: 61 * second, Boot: 8 * second}},
		Ops:    map[string]*verdict.Counts{"x": {Outcomes: map[op.Outcome]int{op.Done: 3, op.Refused: 9}}, "y": {Outcomes: map[op.Outcome]int{op.Done: 4}}},
		Findings: []verdict.Finding{
			{Finding: splat.Finding{Title: "second", Text: "long"}, Guest: 2, At: 9 * second, AtAgent: second},
			{Finding: splat.Finding{Title: "first"}, Guest: 1, At: 12 * second, AtAgent: 2 * second},
			{Finding: splat.Finding{Title: "old"}, Guest: 1, Known: "an-issue"},
		},
	}
	c := Cell{Subject: &Subject{Name: "a"}, Machine: "x86_64", By: ours, Suite: "storm"}
	r := NewResult(c, history.Case{Seed: 7, Duration: second}, v, "dir")
	if r.Done != 7 || r.Seed != 7 || r.Budget != second || r.Guests != 2 || !slices.Equal(r.Known, []string{"an-issue"}) {
		t.Errorf("%+v", r)
	}
	want := []verdict.Finding{
		{Finding: splat.Finding{Title: "first"}, Guest: 1, At: 12 * second, AtAgent: 2 * second},
		{Finding: splat.Finding{Title: "second"}, Guest: 2, At: 69 * second, AtAgent: 59 * second},
	}
	if diff := cmp.Diff(want, r.Findings); diff != "" {
		t.Error(diff)
	}
	if first := r.First(); first == nil || first.Title != "first" {
		t.Errorf("%+v", first)
	}
}

func TestJSON(t *testing.T) {
	page, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	got := jsondoc.Documented(string(page), "## bench detect")
	if diff := cmp.Diff(jsondoc.Fields(reflect.TypeFor[tableJSON]()), got); diff != "" {
		t.Errorf("docs/json.md doesn't describe the fields that there are (-):\n%s", diff)
	}
	p := &Plan{Seeds: 1, Budget: second, Subjects: []Subject{{Name: "a", Suite: "storm", Machines: []string{"x86_64"}}}}
	for _, results := range [][]Result{nil, {result(0, verdict.Clean)}} {
		var out bytes.Buffer
		if err := WriteJSON(&out, NewTable(p, results), Host{}, "/d"); err != nil || strings.Contains(out.String(), "null") {
			t.Errorf("%v: %s", err, &out)
		}
	}
}

// TestMarkdown: every row is one line with as many cells as the head, whatever
// the guest said.
func TestMarkdown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &Plan{Seeds: 5, First: 1, Budget: second, Peers: map[string]Peer{"peer": {Suite: "storm"}}, Subjects: []Subject{
			{Name: "a", Title: "a|b\n<c>", Suite: "seed4", Machines: []string{"x86_64"}, Silent: []string{"pseries"}},
			{Name: "b", Suite: "storm", Machines: []string{"x86_64"}},
		}}
		table := NewTable(p, drawResults(t))
		for name, text := range Sections(table, Host{Cores: 2}, time.Unix(0, 0)) {
			cells := 0
			for line := range strings.Lines(text) {
				if !strings.HasPrefix(line, "|") {
					continue
				}
				n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
				if cells == 0 {
					cells = n
				}
				if n != cells || strings.Contains(line, "\x1b") {
					t.Fatalf("%s: %q", name, line)
				}
			}
		}
	})
}

func TestText(t *testing.T) {
	p := &Plan{Seeds: 2, First: 1, Budget: second, Subjects: []Subject{
		{Name: "a", Suite: "storm", Machines: []string{"x86_64"}, Match: matcher(t, "title right")},
	}}
	var out strings.Builder
	if err := WriteText(&out, NewTable(p, []Result{result(1, verdict.Found, finding("right", 3*second)), result(2, verdict.Clean)})); err != nil {
		t.Fatal(err)
	}
	line := strings.Join(strings.Fields(strings.Split(out.String(), "\n")[1]), " ")
	if want := "a x86_64 plugstorm storm 1/2 yes 0 3.0s 3.0s 2.0s d 1 20"; line != want {
		t.Errorf("%q, want %q", line, want)
	}
	for _, tt := range []struct {
		row  Row
		want string
	}{
		{Row{Asked: 2, Missed: 2}, "0/2 (silent, as it must be)"},
		{Row{Asked: 2, Missed: 1, Unknown: 1}, "0/2"},
		{Row{Asked: 2, Missed: 1, Detected: 1}, "1/2 (must be silent)"},
	} {
		tt.row.Silent = true
		if got := tt.row.detected(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// TestKernels: runs of different kernels, of a patch that was changed before the
// benchmark went on, are counted together, and that is said.
func TestKernels(t *testing.T) {
	p := &Plan{Subjects: []Subject{{Name: "a", Suite: "storm", Machines: []string{"x86_64"}}}, Seeds: 2, First: 1, Budget: second}
	one, two := result(1, verdict.Clean), result(2, verdict.Clean)
	one.Key, two.Key = "k", "k"
	for _, want := range []int{1, 2} {
		table := NewTable(p, []Result{one, two})
		var out strings.Builder
		if err := WriteText(&out, table); err != nil {
			t.Fatal(err)
		}
		if table.Rows[0].Kernels != want || strings.Contains(out.String(), "a on x86_64: runs of 2 different kernels") != (want == 2) {
			t.Errorf("%d kernels, want %d: %s", table.Rows[0].Kernels, want, out.String())
		}
		two.Key = "another"
	}
}

// TestReached: a function that any run called is reached, once.
func TestReached(t *testing.T) {
	reach := func(calls ...int64) *verdict.Reach {
		r := &verdict.Reach{}
		for i, n := range calls {
			r.Functions = append(r.Functions, verdict.Reached{Place: focus.Place{File: "mm/a.c", Func: string(rune('f' + i))}, Called: rules.Called{Calls: n}})
		}
		return r
	}
	p := &Plan{Subjects: []Subject{{Name: "a", Suite: "storm", Machines: []string{"x86_64"}}}, Seeds: 3, First: 1, Budget: second}
	one, two, three := result(1, verdict.Clean), result(2, verdict.Clean), result(3, verdict.Found, finding("right", second))
	one.Reach, two.Reach = reach(1, 0, 0), reach(5, 2, 0)
	table := NewTable(p, []Result{one, two, three})
	if row := table.Rows[0]; row.Changed != 3 || row.Reached != 2 {
		t.Errorf("reached %d of %d", row.Reached, row.Changed)
	}
}
