// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/rules"
	"plugstorm/harness/schedule"
)

// start is when the runs of these tests began.
var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func testCase() history.Case {
	return history.Case{
		Version: history.Version, Machine: "pseries", Suite: "storm", Seed: 7, Duration: time.Minute,
		Accel: "tcg", QEMU: "10.0.2", Started: start, ReplayOf: "/runs/one",
		Command: []string{"plugstorm", "run", "--tree", "/a tree/with 'quotes'"},
		Kernel: history.Kernel{
			Name: "6.12.117 +s0a", Release: "6.12.117-plugstorm", Key: "0123", Image: "/cache/image", Initramfs: "/cache/cpio",
			Prebuilt: true, Omitted: []string{"our kernel modules"},
		},
	}
}

// step makes a step of a kind from the kind's arguments in JSON.
func step(t *testing.T, lane, kind, args string) *schedule.Step {
	t.Helper()
	var s schedule.Step
	text := `{"lane":` + strconv.Quote(lane) + `,"index":3,"gap_ns":1000,"op":{"kind":"` + kind + `","args":` + args + `}}`
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// everyType is one event of each type, with all the fields that it fills.
func everyType(t *testing.T) []history.Event {
	c := testCase()
	return []history.Event{
		{Type: history.RunStart, Case: &c},
		{Type: history.GuestStart, Guest: 1, Restored: true, Text: "/cache/guests/x"},
		{Type: history.AgentUp, Guest: 1, Slowness: 2.5, Text: `{"release":"6.12.117"}`},
		{Type: history.Console, Guest: 1, Offset: 1 << 40},
		{Type: history.StepBegin, Guest: 1, Seq: 1, Setup: true, Step: step(t, "dimm", "dimm-add", `{"id":"dimm0","mib":128,"node":1}`)},
		{Type: history.StepEnd, Guest: 1, Seq: 1, Outcome: op.Refused, Text: "EBUSY"},
		{Type: history.StepBegin, Guest: 1, Seq: 2, Step: step(t, "cpu", "cpu-offline", `{"cpu":1,"online":false}`)},
		{Type: history.Complaint, Guest: 1, Text: "WARNING in <b>\x1b[31m\n\u202e" + "x"},
		{Type: history.Blind, Guest: 1, Text: "possible deadlock"},
		{Type: history.Silent, Guest: 1, Text: "no heartbeat"},
		{Type: history.Stuck, Guest: 1, Text: "they wait for each other", Stuck: &history.Tasks{PIDs: []int{7, 9}, For: time.Second, From: 10, To: 99}},
		{Type: history.Snapshot, Guest: 1, Text: "thrown away: it is not what was saved"},
		{Type: history.Wait, Guest: 1, Waited: time.Second, Text: "2 guests ran already"},
		{Type: history.Host, Guest: 1, Starved: 0.25, CPUs: 1.5, Private: 1 << 30, Controller: 40 << 20, ControllerCPU: time.Second},
		{Type: history.Workload, Guest: 1, Text: `{"name":"slab-storm","rounds":7}`},
		{Type: history.Rules, Guest: 1, Rules: &history.RuleCheck{Widen: []rules.Widening{{Func: "kernfs_drain", Delay: time.Millisecond}}}},
		{Type: history.Rules, Guest: 1, Rules: &history.RuleCheck{Status: &rules.Status{
			DebugLocks: true, Funcs: []rules.Hits{{Func: "f", Symbol: "f.isra.0", Hits: 2}}, Rules: []rules.Result{{Rule: "f: a(w)", Hits: 2}},
		}}},
		{Type: history.Zones, Guest: 1, Text: `{"zones":[]}`},
		{Type: history.Books, Guest: 1, Text: `{"samples":[]}`},
		{Type: history.Waits, Guest: 1, Text: `{"waits":"plugstorm_waits 1\n"}`},
		{Type: history.GuestEnd, Guest: 1, Text: "retired", Shutdown: "guest-reset"},
		{Type: history.Fault, Guest: 1, Text: "QEMU died", Party: string(blame.Hypervisor), Next: "read qemu.stderr"},
		{Type: history.RunEnd},
	}
}

// write records events one second apart in a new directory.
func write(t *testing.T, events []history.Event) string {
	t.Helper()
	dir := t.TempDir()
	w, err := history.Create(dir, start)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		w.AddAt(start.Add(time.Duration(i)*time.Second), e)
	}
	if err := errors.Join(w.Err(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRoundTrip(t *testing.T) {
	want := everyType(t)
	h, err := history.Read(write(t, want))
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		want[i].At = time.Duration(i) * time.Second
	}
	if diff := cmp.Diff(want, h.Events, cmp.Comparer(sameSpec)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(testCase(), h.Case); diff != "" {
		t.Error(diff)
	}
	if h.Cut {
		t.Error("a whole history is said to be cut")
	}
}

// sameSpec compares specs by what of them is recorded.
func sameSpec(a, b op.Spec) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// TestEveryType sees to it that everyType keeps its promise.
func TestEveryType(t *testing.T) {
	parsed, err := parser.ParseFile(token.NewFileSet(), "history.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != "Type" {
			return true
		}
		declared++
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(everyType(t), func(e history.Event) bool { return e.Type == history.Type(value) }) {
			t.Errorf("everyType has no %s", value)
		}
		return true
	})
	if declared < 10 {
		t.Errorf("only %d types found; does this test still read them right?", declared)
	}
}

func TestAddStampsWithThePresent(t *testing.T) {
	dir := t.TempDir()
	began := time.Now()
	w, err := history.Create(dir, began)
	if err != nil {
		t.Fatal(err)
	}
	c := testCase()
	w.Add(history.Event{Type: history.RunStart, Case: &c, At: time.Hour})
	after := time.Since(began)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := history.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if at := h.Events[0].At; at < 0 || at > after {
		t.Errorf("stamped with %s, was added between 0 and %s", at, after)
	}
}

// TestOneLineAnEvent: what a text holds must never end an event early.
func TestOneLineAnEvent(t *testing.T) {
	events := everyType(t)
	data, err := os.ReadFile(filepath.Join(write(t, events), history.File))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(data, []byte("\n")); n != len(events) {
		t.Errorf("%d lines for %d events", n, len(events))
	}
}

// TestCut cuts a history at every byte: what was complete before is kept, and
// an incomplete last line is noted.
func TestCut(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(write(t, everyType(t)), history.File))
	if err != nil {
		t.Fatal(err)
	}
	whole := bytes.IndexByte(data, '\n') + 1
	for n := range len(data) + 1 {
		h, err := history.Parse(bytes.NewReader(data[:n]))
		if n < whole {
			if blame.Of(err) != blame.User {
				t.Fatalf("cut at %d, in the first line: %v", n, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		if want := bytes.Count(data[:n], []byte("\n")); len(h.Events) != want {
			t.Fatalf("cut at %d: %d events, want %d", n, len(h.Events), want)
		}
		if want := data[n-1] != '\n'; h.Cut != want {
			t.Fatalf("cut at %d: noted %v, want %v", n, h.Cut, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	first := firstLine(t)
	for _, tt := range []struct {
		name, text string
		want, next string
	}{
		{"empty", "", "no complete line", ""},
		{"one unfinished line", first[:20], "no complete line", ""},
		{"text", "dear diary,\nit rained\n", "it is no history", ""},
		{"binary", "\x7fELF\x02\x01\x01\x00\n\x00\x00", "it is no history", ""},
		{"another program's JSON", `{"level":"info","msg":"hello"}` + "\n", "it is no history", ""},
		{"JSON of other shapes", "[1,2]\n", "it is no history", ""},
		{"begins in the middle", `{"at_ns":1,"type":"run-end"}` + "\n", "it is no history", ""},
		{"without a case", `{"at_ns":1,"type":"run-start"}` + "\n", "it is no history", ""},
		{"newer", strings.Replace(first, `"version":1`, `"version":2`, 1) + `{"at_ns":"half past ten"}` + "\n", "history format 2, this plugstorm reads 1", "use the plugstorm that wrote it"},
		{"without a version", strings.Replace(first, `"version":1`, `"edition":1`, 1), "history format 0", "use the plugstorm that wrote it"},
		{"damaged", first + `{"at_ns":2,` + "\n" + `{"at_ns":3,"type":"run-end"}` + "\n", "line 2: ", "damaged"},
		{"an op that we don't know", first + `{"type":"step-begin","step":{"op":{"kind":"tea-make","args":{}}}}` + "\n", `line 2: unknown op "tea-make"`, "dimm-add"},
		{"an argument that we don't know", first + `{"type":"step-begin","step":{"op":{"kind":"dimm-add","args":{"sugar":2}}}}` + "\n", `line 2: arguments of dimm-add: `, "newer plugstorm"},
		{"a step without an op", first + `{"type":"step-begin","step":{"lane":"dimm"}}` + "\n", "line 2: a step without an op", "damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := history.Parse(strings.NewReader(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if blame.Of(err) != blame.User {
				t.Errorf("the fault of %q", blame.Of(err))
			}
			if next := blame.Next(err); !strings.Contains(next, tt.next) {
				t.Errorf("next: %q, want %q", next, tt.next)
			}
		})
	}
}

// firstLine is the first line of a history, line end included.
func firstLine(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(write(t, everyType(t)), history.File))
	if err != nil {
		t.Fatal(err)
	}
	return string(data[:bytes.IndexByte(data, '\n')+1])
}

func TestReadErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := history.Read(dir); blame.Of(err) != blame.User || !strings.Contains(err.Error(), dir) {
		t.Errorf("no history: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, history.File), []byte("dear diary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := history.Read(dir); blame.Of(err) != blame.User || !strings.Contains(err.Error(), filepath.Join(dir, history.File)) {
		t.Errorf("a foreign file: %v", err)
	}
	broken := errors.New("input/output error")
	if _, err := history.Parse(iotest.ErrReader(broken)); !errors.Is(err, broken) || blame.Of(err) != blame.Host {
		t.Errorf("a broken disk: %v", err)
	}
}

func TestSteps(t *testing.T) {
	h, err := history.Read(write(t, everyType(t)))
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, s := range h.Steps() {
		kinds = append(kinds, s.Op.Kind.Name)
	}
	if diff := cmp.Diff([]string{"cpu-offline"}, kinds); diff != "" {
		t.Errorf("setup steps are not part of the schedule: %s", diff)
	}
	if (&history.History{}).Steps() == nil {
		t.Error("no steps are written as null, want []")
	}
}

func TestSchedule(t *testing.T) {
	kinds := func(dir string) (names []string) {
		t.Helper()
		steps, err := history.Schedule(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			names = append(names, s.Op.Kind.Name)
		}
		return names
	}
	dir := write(t, everyType(t))
	if diff := cmp.Diff([]string{"cpu-offline"}, kinds(dir)); diff != "" {
		t.Errorf("from the history: %s", diff)
	}
	shortened := []schedule.Step{*step(t, "dimm", "dimm-remove", `{"id":"dimm0"}`)}
	if err := history.WriteJSON(filepath.Join(dir, history.ScheduleFile), shortened); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"dimm-remove"}, kinds(dir)); diff != "" {
		t.Errorf("from schedule.json: %s", diff)
	}
	for _, text := range []string{`[{"lane":`, `{}`, `[{"lane":"dimm"}]`, `[{"op":{"kind":"tea-make"}}]`} {
		if err := os.WriteFile(filepath.Join(dir, history.ScheduleFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := history.Schedule(dir)
		if blame.Of(err) != blame.User || !strings.Contains(err.Error(), history.ScheduleFile) || blame.Next(err) == "" {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestSaveSchedule: what is saved step by step is what a person finds who reads
// the whole history, and can be replayed.
func TestSaveSchedule(t *testing.T) {
	three := 3
	met := step(t, "b", "vm-pause", `{"ms":10}`)
	met.Meet = &schedule.Meet{Lane: "a", Offset: time.Millisecond, Slide: 0.5, Step: &three, Joined: true}
	for name, steps := range map[string][]*schedule.Step{
		"none": nil, "one": {met}, "several": {met, step(t, "a", "vm-pause", `{"ms":20}`), met},
	} {
		dir := t.TempDir()
		w, err := history.Create(dir, start)
		if err != nil {
			t.Fatal(err)
		}
		c := testCase()
		w.Add(history.Event{Type: history.RunStart, Case: &c})
		for i, s := range steps {
			w.Add(history.Event{Type: history.StepBegin, Guest: 1, Seq: 2 * i, Step: s, Setup: true})
			w.Add(history.Event{Type: history.StepBegin, Guest: 1, Seq: 2*i + 1, Step: s})
		}
		if err := errors.Join(w.Close(), history.SaveSchedule(dir)); err != nil {
			t.Fatal(err)
		}
		h, err := history.Read(dir)
		if err != nil || len(h.Steps()) != len(steps) {
			t.Fatalf("%s: %d steps, %v", name, len(h.Steps()), err)
		}
		if err := history.WriteJSON(filepath.Join(dir, "whole.json"), h.Steps()); err != nil {
			t.Fatal(err)
		}
		want, err1 := os.ReadFile(filepath.Join(dir, "whole.json"))
		got, err2 := os.ReadFile(filepath.Join(dir, history.ScheduleFile))
		if diff := cmp.Diff(string(want), string(got)); diff != "" || err1 != nil || err2 != nil {
			t.Errorf("%s: %v, %v\n%s", name, err1, err2, diff)
		}
		if replayed, err := history.Schedule(dir); err != nil || len(replayed) != len(steps) {
			t.Errorf("%s: %d steps to replay, %v", name, len(replayed), err)
		}
	}
}

// TestSaveScheduleOfNothing: without a history there is no schedule.
func TestSaveScheduleOfNothing(t *testing.T) {
	dir := t.TempDir()
	if err := history.SaveSchedule(dir); blame.Of(err) != blame.User {
		t.Errorf("error is %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// TestOldSchedule: schedules from before there were meetings can be read.
func TestOldSchedule(t *testing.T) {
	dir := t.TempDir()
	const old = `[{"lane":"a","index":0,"gap_ns":5,"op":{"kind":"vm-pause","args":{"ms":10}}}]`
	if err := os.WriteFile(filepath.Join(dir, history.ScheduleFile), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	steps, err := history.Schedule(dir)
	if err != nil || len(steps) != 1 || steps[0].Meet != nil {
		t.Errorf("%+v, %v", steps, err)
	}
}
