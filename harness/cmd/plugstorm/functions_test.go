// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"plugstorm/harness/rules"
	"plugstorm/images"
)

func TestWatchFile(t *testing.T) {
	defined := []images.Change{{File: "mm/a.c", Func: "f"}, {File: "mm/a.c", Func: "inlined"}, {File: "mm/a.c", Func: "start_secondary"}, {File: "mm/b.c", Func: "f"}, {File: "mm/b.c", Func: "g"}}
	text := watchFile(defined, map[string]bool{"f": true, "g": true, "start_secondary": true})
	if want := "# mm/a.c\nwatch f upto=1\n# mm/b.c\nwatch g upto=1\n"; text != want {
		t.Errorf("%q, want %q", text, want)
	}
	set, err := rules.Parse(text, "test")
	if err != nil || len(set.Counts) != 2 || set.Counts[1].Source != "mm/b.c" {
		t.Errorf("%+v, %v", set, err)
	}
}
