// SPDX-License-Identifier: Apache-2.0

package speed_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"plugstorm/harness/history"
	"plugstorm/harness/speed"
)

func sample(part, machine, what string, size, rep int, value float64) speed.Sample {
	measure := map[string]string{"start": "start_s", "cycles": "cycles_per_s", "guests": "ops_per_s"}[part]
	return speed.Sample{Version: speed.Version, Part: part, Machine: machine, What: what, Size: size, Rep: rep, Values: map[string]float64{measure: value}}
}

// measured is a benchmark in which the second repetition was on a busy host.
func measured() []speed.Sample {
	broken := speed.Sample{Version: speed.Version, Part: "guests", Machine: "pseries", What: speed.Together, Size: 8, Rep: 1, Failed: true, Note: "no | memory"}
	return []speed.Sample{
		sample("start", "x86_64", speed.Cold, 0, 1, 6), sample("start", "x86_64", speed.Snapshot, 0, 1, 0.4),
		sample("start", "x86_64", speed.Cold, 0, 2, 60), sample("start", "x86_64", speed.Snapshot, 0, 2, 5),
		sample("start", "x86_64", speed.Cold, 0, 3, 7), sample("start", "x86_64", speed.Snapshot, 0, 3, 0.5),
		sample("start", "pseries", speed.Cold, 0, 1, 9),
		{Version: speed.Version, Part: "start", Machine: "pseries", What: speed.Snapshot, Rep: 1, Values: map[string]float64{}, Note: "a defect"},
		sample("cycles", "x86_64", speed.BareLoop, 0, 1, 20),
		sample("guests", "x86_64", speed.Together, 1, 1, 10), sample("guests", "x86_64", speed.Together, 2, 1, 19), broken,
	}
}

func TestTable(t *testing.T) {
	table := speed.NewTable(measured())
	cold := table.Rows[0]
	if want := (speed.Stat{N: 3, Median: 7, Min: 6, Max: 60}); cold.What != speed.Cold || cold.Stats["start_s"] != want {
		t.Errorf("%+v, want %+v", cold, want)
	}
	if len(table.Rows) != 8 || len(table.Ratios) != 2 {
		t.Fatalf("%d rows, ratios %+v", len(table.Rows), table.Ratios)
	}
	r := table.Ratios[0]
	if r.Machine != "x86_64" || r.Stat.N != 3 || r.Stat.Min != 12 || r.Stat.Median != 14 || r.Stat.Max != 15 {
		t.Errorf("the ratio is %+v: it compares what was measured in one repetition", r)
	}
	if g := table.Ratios[1]; g.Of != (speed.Way{What: speed.Together, Size: 2}) || g.By.Size != 1 || g.Stat.Median != 1.9 {
		t.Errorf("two guests against one: %+v", g)
	}
	if table.Complete() || !speed.NewTable(measured()[:8]).Complete() || speed.NewTable(nil).Complete() {
		t.Error("complete is what has samples and no failed one; what can't be is no failure")
	}
}

func TestOutput(t *testing.T) {
	table := speed.NewTable(measured())
	host := speed.Host{Cores: 2, CPU: "x", MemMiB: 1024, Kernel: "6", QEMU: map[string]string{"x86_64": "10.0.2", "pseries": "10.0.2"}, End: speed.Business{Load: 9.5, Pressure: 80}}
	var text, doc bytes.Buffer
	if err := speed.WriteText(&text, table, host); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"7.00 (6.00-60.0)", "0, 1 failed: no | memory", "a defect", "= 14.0 (12.0-15.0)", speed.Together + ", guests 2 / " + speed.Together + ", guests 1 = 1.90", "QEMU 10.0.2;", "load 9.5, CPU pressure 80 % at the end"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, &text)
		}
	}
	if err := speed.WriteJSON(&doc, table, host, "/d"); err != nil || bytes.Contains(doc.Bytes(), []byte("null")) {
		t.Errorf("%v %s", err, &doc)
	}
	var out struct {
		Version  int
		Complete bool
		Rows     []struct {
			What     string
			Measures map[string]struct{ Median float64 }
		}
		Ratios []struct {
			Of, By string
			OfSize int `json:"of_size"`
		}
	}
	if err := json.Unmarshal(doc.Bytes(), &out); err != nil || out.Version != speed.JSONVersion || out.Complete || len(out.Rows) != 8 || out.Rows[0].Measures["start_s"].Median != 7 || out.Ratios[0].By != speed.Snapshot || out.Ratios[1].OfSize != 2 {
		t.Errorf("%v %+v", err, out)
	}
	sections := speed.Sections(table, host, time.Unix(0, 0))
	if len(sections) != 3 || !strings.Contains(sections["start"], "1970-01-01") || !strings.Contains(sections["guests"], `no \| memory`) {
		t.Errorf("%q", sections)
	}
	for line := range strings.Lines(sections["start"]) {
		if strings.HasPrefix(line, "|") && strings.Count(line, "|") != 8 {
			t.Errorf("a row of another width: %s", line)
		}
	}
}

func TestParseSamples(t *testing.T) {
	var file bytes.Buffer
	for _, s := range measured() {
		line, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&file, "%s\n", line)
	}
	file.WriteString(`{"version":1,"part":"sta`)
	if got, err := speed.ParseSamples(file.Bytes()); err != nil || len(got) != len(measured()) || got[1].Values["start_s"] != 0.4 {
		t.Errorf("%v, %d samples", err, len(got))
	}
	for _, bad := range []string{"{\"version\":2}\n", "nonsense\n"} {
		if _, err := speed.ParseSamples([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

const beat = "[   10.000000][   T70] plugstorm: heartbeat seq=1\n"

func short() ([]history.Event, []byte) {
	console := "[    1.0][    T1] boot\n" + beat + beat
	at := func(s int, e history.Event) history.Event {
		e.At = time.Duration(s) * time.Second
		return e
	}
	return []history.Event{
		at(0, history.Event{Type: history.RunStart}), at(1, history.Event{Type: history.GuestStart, Guest: 1}),
		at(2, history.Event{Type: history.AgentUp, Guest: 1}),
		at(3, history.Event{Type: history.StepBegin, Guest: 1, Seq: 1}), at(4, history.Event{Type: history.Console, Guest: 1, Offset: 23}),
		at(5, history.Event{Type: history.StepEnd, Guest: 1, Seq: 1}), at(6, history.Event{Type: history.StepBegin, Guest: 1, Seq: 2}),
		at(7, history.Event{Type: history.StepEnd, Guest: 1, Seq: 2}), at(12, history.Event{Type: history.GuestEnd, Guest: 1}),
		at(13, history.Event{Type: history.GuestStart, Guest: 2}), at(14, history.Event{Type: history.RunEnd}),
	}, []byte(console)
}

func TestStretch(t *testing.T) {
	events, console := short()
	long, log := speed.Stretch(events, console, time.Minute)
	if end := long[len(long)-1]; end.Type != history.RunEnd || end.At != 64*time.Second {
		t.Errorf("it ends with %+v", end)
	}
	if !slices.IsSortedFunc(long, func(a, b history.Event) int { return int(a.At - b.At) }) {
		t.Error("its times don't grow")
	}
	seen := map[int]int{}
	for _, e := range long {
		seen[e.Seq]++
		if e.Guest > 1 {
			t.Errorf("a guest that came later is in it: %+v", e)
		}
		if e.Type == history.Console && !bytes.HasPrefix(log[e.Offset:], []byte("[")) {
			t.Errorf("a mark at %d is inside a line", e.Offset)
		}
	}
	for seq := 1; seq <= 12; seq++ {
		if seen[seq] != 2 {
			t.Errorf("step %d is in it %d times", seq, seen[seq])
		}
	}
	if n := bytes.Count(log, []byte("heartbeat")); n < 6 || len(seen) != 13 {
		t.Errorf("%d heartbeats, %d steps: %s", n, len(seen), log)
	}
	if same, _ := speed.Stretch(events, console, time.Second); len(same) != len(events)-1 {
		t.Errorf("a run that is long enough has %d events of %d", len(same), len(events))
	}
	if none, _ := speed.Stretch(events[:3], console, time.Minute); none != nil {
		t.Error("nothing was repeated")
	}
}
