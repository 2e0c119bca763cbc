// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"testing"

	"plugstorm/harness/blame"
	"plugstorm/harness/lockdep"
	"plugstorm/harness/splat"
	"plugstorm/images"
)

// cycle is s4d's finding.
var cycle = splat.Finding{
	Title: "possible deadlock in slub_cpu_dead", Type: splat.TypeLockdep, Alt: []string{"possible deadlock in kmem_cache_destroy"},
	Stack: []string{"mutex_lock_nested", "slub_cpu_dead", "_cpu_down"},
	Locks: &lockdep.Report{
		Classes: []string{"cpu_hotplug_lock", "slab_mutex"},
		Chain:   []lockdep.Link{{Stack: []string{"cpus_read_lock", "kmem_cache_destroy"}}},
		Usages:  []lockdep.Usage{{Stack: []string{"softirq_user"}}},
	},
}

func TestMatches(t *testing.T) {
	for text, want := range map[string]bool{
		"type LOCKDEP":                         true,
		"type HANG LOCKDEP":                    true,
		"type HANG":                            false,
		"title slub_cpu":                       true,
		"title ^slub_cpu":                      false,
		"title possible deadlock in kmem.*":    true, // the alternative title
		"locks slab_mutex":                     true,
		"locks slab_mutex cpu_hotplug_lock":    true,
		"locks slab_mutex mem_hotplug_lock":    false,
		"stack mutex_lock_nested _cpu_down":    true,
		"stack _cpu_down mutex_lock_nested":    false,
		"stack cpus_read_lock":                 true, // lockdep's memory
		"stack cpus_read_lock _cpu_down":       false,
		"any nothing kmem_cache_destroy":       true,
		"any softirq_user":                     true,
		"any nothing":                          false,
		"type LOCKDEP; any nothing":            false,
		"type LOCKDEP; any _cpu_down; title x": false,
	} {
		m, err := ParseMatcher(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if m.matches(cycle) != want {
			t.Errorf("%q: %v", text, !want)
		}
		if err == nil && m.matches(slim(cycle)) != want {
			t.Errorf("%q doesn't say the same of what results keep", text)
		}
	}
	if m, err := ParseMatcher("locks slab_mutex"); err != nil || m.matches(splat.Finding{Title: "x"}) {
		t.Errorf("a finding without locks: %v", err)
	}
}

func TestParseMatcherErrors(t *testing.T) {
	for _, text := range []string{"", ";", "type", "type LOCKDEP;", "color red", "title (", "title a; title b", "LOCKDEP"} {
		if m, err := ParseMatcher(text); blame.Of(err) != blame.User || blame.Next(err) == "" {
			t.Errorf("%q: %+v, %v", text, m, err)
		}
	}
}

// TestPlantsSayWhatIsRight: each plant's header has matchers, and none of them
// takes everything.
func TestPlantsSayWhatIsRight(t *testing.T) {
	for _, p := range images.Plants() {
		if len(p.Expect.Match) == 0 {
			t.Errorf("%s: no match line in the header", p.Name)
		}
		for _, text := range p.Expect.Match {
			m, err := ParseMatcher(text)
			if err != nil {
				t.Errorf("%s: %v", p.Name, err)
			} else if m.matches(splat.Finding{Title: "kernel BUG in x", Type: splat.TypeBug}) {
				t.Errorf("%s: %q takes everything", p.Name, text)
			}
		}
	}
}
