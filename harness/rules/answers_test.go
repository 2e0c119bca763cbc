// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plugstorm/harness/rules"
)

// real is what a guest with plant s3a said, shortened.
func real(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/s3a-x86_64.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestParseGuest(t *testing.T) {
	g, err := rules.ParseGuest(real(t))
	if err != nil {
		t.Fatal(err)
	}
	if g.Bad != 0 || !g.Status.DebugLocks || g.Status.Printed != 6 || g.Status.Nested != 145 || len(g.Status.Funcs) != 7 {
		t.Errorf("%d bad lines, %+v", g.Bad, g.Status)
	}
	byFunc := map[string]rules.Contract{}
	for _, c := range g.Contracts {
		byFunc[c.Func] = c
	}
	locks := map[string]rules.Frequency{}
	for _, l := range byFunc["online_pages"].Locks {
		locks[l.Name+" "+l.Mode()] = l.Frequency()
	}
	if locks["device_hotplug_lock w"] != rules.Always || locks["cpu_hotplug_lock r"] != rules.Always || locks["mem_hotplug_lock w"] != "" {
		t.Errorf("online_pages: %v", locks)
	}
	for _, r := range g.Status.Rules {
		if broken := strings.HasPrefix(r.Rule, "online_pages") || strings.HasPrefix(r.Rule, "offline_pages"); broken != (r.Violations > 0) {
			t.Errorf("%+v", r)
		}
	}
}

// TestJoin: a guest's file has both answers, whatever they hold.
func TestJoin(t *testing.T) {
	text := real(t)
	rest := strings.TrimPrefix(text, "==== status\n")
	status, contracts, _ := strings.Cut(rest, "==== contracts\n")
	if diff := cmp.Diff(text, rules.Join(status, contracts)); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "==== status\n", text[20:], rules.Join("", ""), rules.Join(status, "no header\n")} {
		if _, err := rules.ParseGuest(bad); err == nil {
			t.Errorf("%q is believed", bad)
		}
	}
}

// TestHostile: whatever a guest says, what is kept of it is bounded, printable
// and consistent, and what can't be read is counted.
func TestHostile(t *testing.T) {
	lines := strings.Split(real(t), "\n")
	word := rapid.SampledFrom([]string{
		"func", "lock", "rule", " ", "state=ok", "hits=-1", "hits=99999999999999999999", "w=5", "r=\x1b[31m", "checked=7", "\x00", " : ",
		"lost=0", strings.Repeat("x", 9000), "==== contracts", "widen=1", "\u202e", "symbol=a",
	})
	rapid.Check(t, func(t *rapid.T) {
		var text []string
		for range rapid.IntRange(0, 40).Draw(t, "lines") {
			if rapid.Bool().Draw(t, "real") {
				text = append(text, rapid.SampledFrom(lines).Draw(t, "line"))
			} else {
				text = append(text, strings.Join(rapid.SliceOfN(word, 0, 6).Draw(t, "words"), " "))
			}
		}
		answer := rules.Header + "\n" + strings.Join(text, "\n")
		s, err := rules.ParseStatus(answer)
		if err != nil {
			return
		}
		for _, h := range s.Funcs {
			if h.Hits < 0 || h.Checked() < 0 || !printable(h.Func+h.Symbol+h.Unavailable) {
				t.Fatalf("%+v", h)
			}
		}
		contracts, bad, err := rules.ParseContracts(answer)
		if err != nil || bad < 0 || len(contracts) > len(text) {
			t.Fatal(contracts, bad, err)
		}
		for _, c := range contracts {
			for _, l := range c.Locks {
				if l.Write < 0 || l.Read < 0 || l.Not < 0 || !printable(c.Func+l.Name) {
					t.Fatalf("%+v", l)
				}
			}
		}
	})
}

func printable(s string) bool {
	return len(s) < 2000 && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// TestMany: a guest that doesn't stop isn't kept whole.
func TestMany(t *testing.T) {
	contracts, bad, err := rules.ParseContracts(rules.Header + "\n" + strings.Repeat("func f checked=1 lost=0\n", 5000))
	if err != nil || len(contracts) > 1024 || bad < 3000 {
		t.Error(len(contracts), bad, err)
	}
	one, bad, err := rules.ParseContracts(rules.Header + "\nfunc f checked=1 lost=0\n" + strings.Repeat("lock w=1 r=0 a\n", 500))
	if err != nil || len(one[0].Locks) > 64 || bad < 400 {
		t.Error(len(one[0].Locks), bad, err)
	}
}

// TestTally: a rule that was never checked is neither kept nor broken.
func TestTally(t *testing.T) {
	got := rules.NewTally([]*rules.Status{
		{Rules: []rules.Result{{Rule: "a: x(w)", Hits: 2}, {Rule: "b: x(w)"}, {Rule: "c: x(w)", Unavailable: true}, {Rule: "d: x(w)", Hits: 1, Violations: 1}}},
		{Rules: []rules.Result{{Rule: "a: x(w)", Hits: 3}, {Rule: "b: x(w)"}, {Rule: "c: x(w)", Unavailable: true}, {Rule: "d: x(w)"}}},
	}, []string{"guest 3 was lost"})
	want := &rules.Tally{
		Guests: 2, Checked: 2, Broken: 1,
		NotChecked: []rules.NotChecked{{Rule: "b: x(w)", Why: rules.WhyNeverHit}, {Rule: "c: x(w)", Why: rules.WhyUnavailable}},
		Results: []rules.Result{
			{Rule: "a: x(w)", Hits: 5}, {Rule: "b: x(w)"}, {Rule: "c: x(w)", Unavailable: true}, {Rule: "d: x(w)", Hits: 1, Violations: 1},
		},
		Why: []string{"guest 3 was lost"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
