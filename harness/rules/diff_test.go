// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plugstorm/harness/rules"
)

func contract(name string, checked int64, locks ...rules.Lock) rules.Contract {
	for i := range locks {
		locks[i].Not = checked - locks[i].Write - locks[i].Read
	}
	return rules.Contract{Func: name, Checked: checked, Locks: locks}
}

func TestDiff(t *testing.T) {
	before := []rules.Contract{
		contract("gone", 4),
		contract("online_pages", 20, rules.Lock{Name: "mem_hotplug_lock", Write: 20}, rules.Lock{Name: "cpu_hotplug_lock", Read: 20}, rules.Lock{Name: "kn->active", Read: 7}),
		contract("rare", 2, rules.Lock{Name: "a", Write: 2}),
		contract("same", 9, rules.Lock{Name: "a", Write: 9}),
		contract("sometimes", 50, rules.Lock{Name: "a", Write: 50}),
	}
	after := []rules.Contract{
		contract("gone", 0),
		contract("online_pages", 30, rules.Lock{Name: "cpu_hotplug_lock", Write: 30}),
		contract("rare", 1),
		contract("same", 3, rules.Lock{Name: "a", Write: 3}),
		contract("sometimes", 50, rules.Lock{Name: "a", Write: 30}),
	}
	var b strings.Builder
	if err := rules.WriteDiff(&b, "x86_64", "6.12", "6.12 +p", rules.Diff(before, after)); err != nil {
		t.Fatal(err)
	}
	const want = `== x86_64: 6.12 -> 6.12 +p

changed:
    online_pages: cpu_hotplug_lock always(r), 20 of 20 -> always(w), 30 of 30
    online_pages: mem_hotplug_lock always(w), 20 of 20 -> never, 0 of 30
    sometimes: a always(w), 50 of 50 -> sometimes(w), 30 of 50

may be chance, the calls are few:
    rare: a always(w), 2 of 2 -> never, 0 of 1

called on one side only (while lockdep was on):
    gone: 4 calls -> 0 calls
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// drawn is any table.
func drawn(t *rapid.T, label string) []rules.Contract {
	var all []rules.Contract
	for i := range rapid.IntRange(0, 5).Draw(t, label) {
		checked := rapid.Int64Range(0, 30).Draw(t, "checked")
		c := contract(fmt.Sprintf("f%d", i), checked)
		for j := range 3 {
			write := rapid.Int64Range(0, checked).Draw(t, "write")
			read := rapid.Int64Range(0, checked-write).Draw(t, "read")
			if write+read > 0 {
				c.Locks = append(c.Locks, rules.Lock{Name: fmt.Sprintf("l%d", j), Write: write, Read: read, Not: checked - write - read})
			}
		}
		all = append(all, c)
	}
	return all
}

// TestDiffProperties: nothing differs from itself, and a difference is one from
// both sides.
func TestDiffProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawn(t, "a"), drawn(t, "b")
		if d := rules.Diff(a, a); len(d) > 0 {
			t.Fatal(d)
		}
		there, back := rules.Diff(a, b), rules.Diff(b, a)
		if len(there) != len(back) {
			t.Fatal(there, back)
		}
		for i := range there {
			x, y := there[i], back[i]
			if x.Func != y.Func || x.Lock != y.Lock || x.Before != y.After || x.Chance != y.Chance {
				t.Fatal(x, y)
			}
		}
	})
}

// TestMerge: the order of guests doesn't matter, and no call is lost.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawn(t, "a"), drawn(t, "b")
		if diff := cmp.Diff(rules.Merge(a, b), rules.Merge(b, a)); diff != "" {
			t.Fatal(diff)
		}
		sum := func(list []rules.Contract) (n int64) {
			for _, c := range list {
				n += c.Checked
				for _, l := range c.Locks {
					n += l.Write + l.Read
				}
			}
			return n
		}
		if got := sum(rules.Merge(a, b)); got != sum(a)+sum(b) {
			t.Fatal(got, sum(a), sum(b))
		}
	})
}

func TestTable(t *testing.T) {
	g, err := rules.ParseGuest(real(t))
	if err != nil {
		t.Fatal(err)
	}
	table := &rules.Table{
		Machine: "x86_64", Kernel: "6.12.117 +s3a", Contracts: rules.Merge(g.Contracts),
		Rules: rules.NewTally([]*rules.Status{g.Status}, []string{"guest 2 was lost"}),
	}
	var b strings.Builder
	if err := table.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"== x86_64: 6.12.117 +s3a\n! guest 2 was lost\n", "\nonline_pages, 8 calls\n    always ", "cpu_hotplug_lock(r)", "sometimes",
		"not called while lockdep was on, or not in this kernel: get_online_mems\n", "BROKEN 8 times", "not checked: " + rules.WhyNeverHit,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
