// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"plugstorm/harness/blame"
	"plugstorm/harness/catalog"
)

type fruit struct{ name, doc string }

func fruits(names ...string) *catalog.Catalog[*fruit] {
	c := catalog.New("fruit", func(f *fruit) (string, string) { return f.name, f.doc })
	for _, name := range names {
		c.Register(&fruit{name, "grows"})
	}
	return c
}

func TestOrder(t *testing.T) {
	c := fruits("pear", "apple", "fig")
	want := []string{"apple", "fig", "pear"}
	if got := c.Names(); !slices.Equal(got, want) {
		t.Errorf("Names is %v, want %v", got, want)
	}
	for i, f := range c.All() {
		if f.name != want[i] {
			t.Errorf("All()[%d] is %s, want %s", i, f.name, want[i])
		}
	}
	c.Names()[0] = "spoilt"
	if got := c.Names(); !slices.Equal(got, want) {
		t.Errorf("after a change to a slice of Names it is %v", got)
	}
}

func TestGet(t *testing.T) {
	c := fruits("pear", "apple")
	if f, err := c.Get("pear"); err != nil || f.name != "pear" {
		t.Errorf("Get(pear) is %v, %v", f, err)
	}
	f, err := c.Get("plum")
	if err == nil || f != nil {
		t.Fatalf("Get(plum) is %v, %v", f, err)
	}
	if blame.Of(err) != blame.User {
		t.Errorf("an unknown name is blamed on %q", blame.Of(err))
	}
	if want := `unknown fruit "plum"`; err.Error() != want {
		t.Errorf("error is %q, want %q", err, want)
	}
	if want := "choose one of: apple, pear"; blame.Next(err) != want {
		t.Errorf("next step is %q, want %q", blame.Next(err), want)
	}
}

func TestRegisterReturnsItsValue(t *testing.T) {
	f := &fruit{"fig", "grows"}
	if got := fruits().Register(f); got != f {
		t.Errorf("Register returned %v", got)
	}
}

func TestRegisterPanics(t *testing.T) {
	for _, tt := range []struct {
		name, doc, complaint string
	}{
		{"", "grows", `fruit with the bad name ""`},
		{"sour plum", "grows", `fruit with the bad name "sour plum"`},
		{"a/b", "grows", `fruit with the bad name "a/b"`},
		{"a\tb", "grows", "bad name"},
		{"a\nb", "grows", "bad name"},
		{"plum", "", `fruit "plum" has no doc`},
		{"apple", "grows", `fruit "apple" registered twice`},
	} {
		t.Run(fmt.Sprintf("%q", tt.name), func(t *testing.T) {
			c := fruits("apple")
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, tt.complaint) {
					t.Errorf("panic is %q, want %q", got, tt.complaint)
				}
				if got := c.Names(); !slices.Equal(got, []string{"apple"}) {
					t.Errorf("it was entered all the same: %v", got)
				}
			}()
			c.Register(&fruit{tt.name, tt.doc})
		})
	}
}
