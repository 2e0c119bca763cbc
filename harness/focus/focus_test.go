// SPDX-License-Identifier: Apache-2.0

package focus_test

import (
	"strings"
	"testing"

	"plugstorm/harness/blame"
	"plugstorm/harness/focus"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]focus.Place{
		"mm/slub.c":                        {File: "mm/slub.c"},
		"kernel/cgroup/":                   {File: "kernel/cgroup/"},
		"offline_pages":                    {Func: "offline_pages"},
		"kernel/workqueue.c:wq_nice_store": {File: "kernel/workqueue.c", Func: "wq_nice_store"},
	} {
		got, err := focus.Parse(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if got.String() != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", ":", "/etc/passwd", "../mm/slub.c", "mm//slub.c", "mm/slub.c:", ":f", "mm/:f", "mm/slub.c:a b", "f;g", "f\nwatch g", "2f", "mm/a b.c",
		strings.Repeat("f", 64),
	} {
		if p, err := focus.Parse(text); blame.Of(err) != blame.User {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
	}
	if _, err := focus.ParseAll([]string{"mm/slub.c", ".."}); err == nil {
		t.Error("one bad place of several is taken")
	}
}

func TestNear(t *testing.T) {
	touches := []string{"kernel/workqueue.c:wq_nice_store", "kernel/workqueue.c", "mm/slub.c:shrink_store", "kernel/sched/", "drain_all_pages", "no place at all"}
	for text, want := range map[string]focus.Nearness{
		"kernel/workqueue.c:wq_nice_store": focus.Function,
		"wq_nice_store":                    focus.Function,
		"mm/page_alloc.c:drain_all_pages":  focus.Function,
		"mm/zswap.c:shrink_store":          focus.Far, // another file's function of that name
		"kernel/workqueue.c:init_worker":   focus.File,
		"mm/slub.c":                        focus.File,
		"mm/slub.c:new_slab":               focus.File,
		"kernel/sched/core.c:schedule":     focus.Directory,
		"kernel/sched/":                    focus.Directory,
		"mm/":                              focus.Directory,
		"kernel/schedule.c":                focus.Far,
		"kernel/cpu.c":                     focus.Far,
		"schedule":                         focus.Far,
	} {
		p, err := focus.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Near(touches); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}
