// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"plugstorm/harness/blame"
	"plugstorm/harness/focus"
	"plugstorm/images"
	"plugstorm/suites"
)

func TestFocusFlag(t *testing.T) {
	for text, want := range map[string]string{"": "[]", "none": "[]", "mm/slub.c,offline_pages": "[mm/slub.c offline_pages]"} {
		f := &runFlags{}
		if text != "" {
			f.focus = strings.Split(text, ",")
		}
		if got, err := f.places(); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"none,mm/slub.c", "a b", ""} {
		if _, err := (&runFlags{focus: strings.Split(text, ",")}).places(); blame.Of(err) != blame.User {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestToward: what the flag or a record says comes before what is changed; plants
// in a suite of their own have no focus.
func TestToward(t *testing.T) {
	named, changed := []focus.Place{{File: "mm/slub.c"}}, []focus.Place{{File: "mm/ksm.c"}}
	plant, patch := images.Source{Plants: []string{"s0a"}}, images.Source{Patches: []string{"my.patch"}}
	for name, tt := range map[string]struct {
		p    *plan
		want string
	}{
		"flag":            {&plan{flags: &runFlags{focus: []string{"mm/slub.c"}}, focus: named, source: patch, scenario: suites.Hunt}, "[mm/slub.c]"},
		"none":            {&plan{flags: &runFlags{focus: []string{noFocus}}, source: patch, scenario: suites.Hunt}, "[]"},
		"replay":          {&plan{flags: &runFlags{}, replays: map[string][]slot{}, focus: named, source: patch, scenario: suites.Hunt}, "[mm/slub.c]"},
		"old replay":      {&plan{flags: &runFlags{}, replays: map[string][]slot{}, source: patch, scenario: suites.Hunt}, "[]"},
		"patch":           {&plan{flags: &runFlags{}, source: patch, scenario: suites.Hunt}, "[mm/ksm.c]"},
		"patch and suite": {&plan{flags: &runFlags{}, source: patch, scenario: suites.Seed0}, "[mm/ksm.c]"},
		"plant and hunt":  {&plan{flags: &runFlags{}, source: plant, scenario: suites.Hunt}, "[mm/ksm.c]"},
		"plant's suite":   {&plan{flags: &runFlags{}, source: plant, scenario: suites.Seed0}, "[]"},
	} {
		if got := fmt.Sprint(tt.p.toward(changed)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestChangedOfReplay: a replay goes by its record, not by what there is now.
func TestChangedOfReplay(t *testing.T) {
	a, _, _ := testApp("")
	p := &plan{flags: &runFlags{}, replays: map[string][]slot{}, changed: []focus.Place{{Func: "f"}}, source: images.Source{Patches: []string{"gone.patch"}}}
	if got, err := a.changed(t.Context(), p); err != nil || fmt.Sprint(got) != "[f]" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestPlacesOf(t *testing.T) {
	got := placesOf([]images.Change{{File: "mm/slub.c", Func: "new_slab"}, {File: "mm/Makefile"}, {File: "mm/a b.c", Func: "f"}, {File: "mm/slub.c", Func: "f;g"}})
	if want := "[mm/slub.c:new_slab mm/Makefile]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// TestHuntTowardBlindPlants: what the hunt knows of its suites leads it, for the
// functions that blind plants change, to a suite with somebody who calls them.
func TestHuntTowardBlindPlants(t *testing.T) {
	for text, want := range map[string][]string{
		"kernel/workqueue.c:wq_nice_store":                              {"crowd", "seed0"},
		"mm/vmscan.c:lru_gen_change_state":                              {"crowd", "errors", "seed0"},
		"kernel/cgroup/cgroup.c:cgroup_attach_lock":                     {"crowd", "seed0"},
		"mm/memremap.c:pagemap_range":                                   {"seed2", "errors", "crowd"},
		"arch/powerpc/platforms/pseries/hotplug-cpu.c:dlpar_online_cpu": {"crowd", "errors"},
	} {
		place, err := focus.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		aimed := suites.Hunt.Toward([]focus.Place{place})
		for seed := range int64(3) {
			first := aimed.Turn(seed, 1).Part.Name
			if !slices.Contains(want, first) {
				t.Errorf("%s, seed %d: %s comes first, want one of %q", text, seed, first, want)
			}
		}
	}
}

// TestLookFirst: that nothing comes near is said, too.
func TestLookFirst(t *testing.T) {
	for text, want := range map[string]string{
		"kernel/workqueue.c:wq_nice_store": "looks first at kernel/workqueue.c:wq_nice_store, in the order crowd, ",
		"sound/core/pcm.c":                 "nothing in suite hunt is known to come near sound/core/pcm.c",
	} {
		place, err := focus.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := lookFirst([]focus.Place{place}, suites.Hunt, 1); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", text, got)
		}
	}
}
