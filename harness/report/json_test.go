// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/report/jsondoc"
	"plugstorm/harness/verdict"
)

const jsonPage = "../../docs/json.md"

func readPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(jsonPage)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestEveryFieldIsDocumented: the JSON and its page say the same.
func TestEveryFieldIsDocumented(t *testing.T) {
	got := jsondoc.Documented(readPage(t), "## run, replay, judge")
	if diff := cmp.Diff(jsondoc.Fields(reflect.TypeFor[runJSON]()), got); diff != "" {
		t.Errorf("%s doesn't describe the fields that there are (-):\n%s", jsonPage, diff)
	}
}

// TestEveryValueIsDocumented does the same for words that programs may compare with.
func TestEveryValueIsDocumented(t *testing.T) {
	words := []string{string(verdict.Clean), string(verdict.Found), string(verdict.Unknown)}
	for _, o := range op.Outcomes {
		words = append(words, string(o))
	}
	for _, p := range []blame.Party{blame.Kernel, blame.Hypervisor, blame.Host, blame.Harness, blame.User} {
		words = append(words, string(p))
	}
	page := readPage(t)
	for _, word := range words {
		if !strings.Contains(page, "`"+word+"`") {
			t.Errorf("%s doesn't mention `%s`", jsonPage, word)
		}
	}
	if want := fmt.Sprintf("This page describes version %d", JSONVersion); !strings.Contains(page, want) {
		t.Errorf("%s doesn't say: %s", jsonPage, want)
	}
}

// TestNothingIsNull: readers need no case for null, however little happened.
func TestNothingIsNull(t *testing.T) {
	empty := verdict.Judge(verdict.Input{History: &history.History{}})
	for name, r := range map[string]*Run{
		"no machine": {},
		"no guest":   {Machines: []Machine{{Verdict: empty}}},
		"no stack":   {Machines: []Machine{{Verdict: &verdict.Verdict{Findings: []verdict.Finding{{}}}}}},
	} {
		var out bytes.Buffer
		if err := JSON.Write(&out, r); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "null") {
			t.Errorf("%s: %s", name, &out)
		}
	}
}

// TestAllOutcomes: every kind of op has a number for every outcome.
func TestAllOutcomes(t *testing.T) {
	v := &verdict.Verdict{Ops: map[string]*verdict.Counts{"dimm-add": {Outcomes: map[op.Outcome]int{op.Done: 2}}}}
	var out bytes.Buffer
	if err := JSON.Write(&out, &Run{Machines: []Machine{{Verdict: v}}}); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Machines []struct{ Ops map[string]map[string]int }
	}
	if err := json.Unmarshal(out.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"done": 2, "refused": 0, "pending": 0, "hung": 0, "broken": 0}
	if diff := cmp.Diff(want, read.Machines[0].Ops["dimm-add"]); diff != "" {
		t.Error(diff)
	}
}
