// SPDX-License-Identifier: Apache-2.0

package speed

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/page"
	"plugstorm/harness/report/jsondoc"
)

// TestJSONIsDocumented: docs/json.md describes every field, and no other one.
func TestJSONIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	got := jsondoc.Documented(string(text), "## bench speed")
	if diff := cmp.Diff(jsondoc.Fields(reflect.TypeFor[tableJSON]()), got); diff != "" {
		t.Error(diff)
	}
}

// TestParts: what a ratio compares is measured, and docs/performance.md has a
// place for every part.
func TestParts(t *testing.T) {
	text, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, pairs := page.Rewrite(string(text), "speed", nil); pairs != len(Parts) {
		t.Errorf("docs/performance.md has %d places for %d parts", pairs, len(Parts))
	}
	for _, p := range Parts {
		for _, r := range p.Ratios {
			if !slices.Contains(p.What, r.Of) || !slices.Contains(p.What, r.By) {
				t.Errorf("%s: nobody measures %s / %s", p.Name, r.Of, r.By)
			}
		}
		if p.Doc == "" || len(p.Measures) == 0 || !strings.Contains(string(text), "<!-- bench speed: "+p.Name+" -->") {
			t.Errorf("%s says not enough of itself", p.Name)
		}
	}
}
