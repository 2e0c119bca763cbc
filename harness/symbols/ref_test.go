// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	for text, want := range map[string]Ref{
		"f+0x12/0x34":               {Func: "f", Offset: 0x12, Size: 0x34},
		" f+0x0/0x34 ":              {Func: "f", Size: 0x34},
		"f.isra.0+0x12/0x34 [mod]":  {Func: "f.isra.0", Offset: 0x12, Size: 0x34, Module: "mod"},
		".dump_stack+0x12/0x34":     {Func: ".dump_stack", Offset: 0x12, Size: 0x34},
		"f+0x1/0x2 [m_1 00ff12]":    {Func: "f", Offset: 1, Size: 2, Module: "m_1"},
		"_RNvCs_4core+0x1/0x2":      {Func: "_RNvCs_4core", Offset: 1, Size: 2},
		"f+0x1/0xffffffffffffffff":  {Func: "f", Offset: 1, Size: 1<<64 - 1},
		"f+0x1/0x1ffffffffffffffff": {},
		"f+0x/0x2":                  {},
		"f+0x1/2":                   {},
		"f+0x1":                     {},
		"+0x1/0x2":                  {},
		"9f+0x1/0x2":                {},
		"f+0x1/0x2 [mod":            {},
		"f+0x1/0x2 (unreliable)":    {},
		"RIP: 0010:f+0x1/0x2":       {},
		"":                          {},
	} {
		got, ok := parseRef(text)
		if ok != (want.Func != "") || ok && got != want {
			t.Errorf("%q: %+v, %v", text, got, ok)
		}
		if ok {
			if again, ok := parseRef(got.String()); !ok || again != got {
				t.Errorf("%q: %+v becomes %+v", text, got, again)
			}
		}
	}
	if _, ok := parseRef(strings.Repeat("f", maxSymbol+1) + "+0x1/0x2"); ok {
		t.Error("a name longer than the kernel's longest")
	}
}

// parseRef reads "func+0x12/0x34" or "func+0x12/0x34 [mod]", where a build id
// may follow mod. Return is for the caller to set: the text doesn't tell.
func parseRef(s string) (Ref, bool) {
	s = strings.TrimSpace(s)
	plus := strings.Index(s, "+0x")
	if plus < 0 {
		return Ref{}, false
	}
	start, end, r := refAt(s, plus)
	return r, end == len(s) && start == 0
}
