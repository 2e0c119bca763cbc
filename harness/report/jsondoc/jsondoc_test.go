// SPDX-License-Identifier: Apache-2.0

package jsondoc_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/report/jsondoc"
)

type inner struct {
	Deep int `json:"deep,omitempty"`
}

type embedded struct {
	Flat string `json:"flat"`
}

type outer struct {
	embedded
	Plain   int
	Renamed *inner             `json:"renamed"`
	Many    []inner            `json:"many"`
	ByName  map[string][]inner `json:"by_name"`
	Hidden  int                `json:"-"`
	private int
}

func TestFields(t *testing.T) {
	got := jsondoc.Fields(reflect.TypeFor[outer]())
	want := []string{"Plain", "by_name", "by_name.*[].deep", "flat", "many", "many[].deep", "renamed", "renamed.deep"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	data, err := json.Marshal(outer{private: 1})
	if err != nil {
		t.Fatal(err)
	}
	var top map[string]any
	if err := json.Unmarshal(data, &top); err != nil {
		t.Fatal(err)
	}
	for name := range top {
		if !slices.Contains(got, name) {
			t.Errorf("encoding/json writes %s as well", name)
		}
	}
}

func TestDocumented(t *testing.T) {
	const page = "# top\n| `no` | |\n## one\n| field | |\n|---|---|\n| `b[].c` | `x` |\n### deeper\n| `a` | |\n## two\n| `other` | |\n"
	if diff := cmp.Diff([]string{"a", "b[].c"}, jsondoc.Documented(page, "## one")); diff != "" {
		t.Error(diff)
	}
	if got := jsondoc.Documented(page, "## three"); len(got) != 0 {
		t.Errorf("a section that isn't there documents %v", got)
	}
}
