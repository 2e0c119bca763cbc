// SPDX-License-Identifier: Apache-2.0

package fields_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/fields"
)

func TestList(t *testing.T) {
	f := fields.Of(" state=ok hits=12  big=4294967296 name=a=b bare hits=13")
	if f.Text("state") != "ok" || f.Count("hits") != 13 || f.Count("big") != 1<<32 || f.Text("name") != "a=b" || f.Text("bare") != "" || !f.OK() {
		t.Errorf("%+v", f)
	}
	for key, ask := range map[string]func(*fields.List){
		"one that isn't there":        func(f *fields.List) { f.Text("none") },
		"a count that isn't a number": func(f *fields.List) { f.Count("state") },
		"a count that is too large":   func(f *fields.List) { f.Small("big") },
		"a negative one":              func(f *fields.List) { f.Count("minus") },
		"whatever its reader refuses": func(f *fields.List) { f.Fail() },
	} {
		f := fields.Of("state=ok big=4294967296 minus=-1")
		if ask(f); f.OK() {
			t.Errorf("%s is taken", key)
		}
		if f.Text("state"); f.OK() {
			t.Errorf("%s is forgotten", key)
		}
	}
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]bool{"": true, "kn->active#12": true, "12345678901234": false, "a\nb": false, "\x1b[2J": false} {
		if got := fields.Plain(text, 13); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestLines(t *testing.T) {
	want := []fields.Line{{2, "a b", "of a"}, {7, "c", "one two"}, {8, "d", ""}}
	if d := cmp.Diff(want, slices.Collect(fields.Lines("# of a\n a b \n# nothing's\n\n#one\n# two\nc\nd"))); d != "" {
		t.Error(d)
	}
}
