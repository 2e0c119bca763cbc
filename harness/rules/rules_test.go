// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plugstorm/harness/blame"
	"plugstorm/harness/rules"
	"plugstorm/workloads"
)

func parse(t *testing.T, text string) *rules.Set {
	t.Helper()
	s, err := rules.Parse(text, "test")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParse(t *testing.T) {
	s := parse(t, `# a file

# mm/memory_hotplug.c:online_pages,
# rule 4
online_pages since=6.8 arch=x86_64,ppc64le:  mem_hotplug_lock(w)   !slab_mutex  # why
device_online bus=memory,cpu: device_hotplug_lock(w)|(memory_chain).rwsem(r)

watch kthread_stop
watch new_slab upto=500
watch kthread_stop upto=500
widen kernfs_drain 500
`)
	want := &rules.Set{
		Rules: []rules.Rule{
			{
				Func: rules.Func{Symbol: "online_pages"}, Terms: "mem_hotplug_lock(w) !slab_mutex", Arch: []string{"x86_64", "ppc64le"},
				Since: "6.8", Source: "mm/memory_hotplug.c:online_pages, rule 4",
			},
			{Func: rules.Func{Symbol: "device_online", Buses: []string{"memory", "cpu"}}, Terms: "device_hotplug_lock(w)|(memory_chain).rwsem(r)"},
		},
		Watches: []rules.Func{{Symbol: "kthread_stop"}},
		Counts:  []rules.Count{{Symbol: "new_slab", Upto: 500}, {Symbol: "kthread_stop", Upto: 500}},
		Widen:   []rules.Widening{{Func: "kernfs_drain", Delay: 500 * time.Microsecond}},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	text, err := s.For("6.12.117-plugstorm", "ppc64le", []rules.Widening{{Func: "f", Delay: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	const module = `online_pages: mem_hotplug_lock(w) !slab_mutex
device_online bus=memory,cpu: device_hotplug_lock(w)|(memory_chain).rwsem(r)
watch kthread_stop
widen kernfs_drain 500
widen f 1000
watch new_slab upto=500
`
	if diff := cmp.Diff(module, text); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, line := range []string{
		"online_pages", "online_pages:", ": a(w)", "online pages: a(w)", "f: a", "f: a(x)", "f: !a|b", "f: (w)", "f: a(w)|",
		"f since=new: a(w)", "f until=6.1: a(w)", "f arch=: a(w)", "f bus=a,b,c: a(w)", "f bus=../x: a(w)",
		"watch", "watch f since=6.1", "watch f upto=0", "watch f upto=x", "watch f upto=1 upto=2", "watch f bus=cpu upto=1", "widen f", "widen f -1", "widen f 10001", "widen f 1 2",
		"f: " + strings.Repeat("a(w) ", 9), "f: " + strings.Repeat("x", 64) + "(w)", "f: a(w)|b(w)|c(w)|d(w)|e(w)", strings.Repeat("f", 64) + ": a(w)",
	} {
		if _, err := rules.Parse("\n"+line, "some.rules"); blame.Of(err) != blame.User || !strings.Contains(err.Error(), "some.rules: line 2") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestFits(t *testing.T) {
	for _, tt := range []struct {
		rule, kernel, arch string
		want               bool
	}{
		{"f: a(w)", "6.12.117-plugstorm", "x86_64", true},
		{"f since=6.8: a(w)", "6.12.117-plugstorm", "x86_64", true},
		{"f since=6.8: a(w)", "6.1.0-41-amd64", "x86_64", false},
		{"f since=6.8: a(w)", "7.0-rc1", "x86_64", true},
		{"f since=6.1.70: a(w)", "6.1.69", "x86_64", false},
		{"f before=6.8: a(w)", "6.8.0", "x86_64", false},
		{"f before=6.8: a(w)", "6.7.99", "x86_64", true},
		{"f since=6.8: a(w)", "next", "x86_64", true}, // a release that can't be read is new
		{"f before=6.8: a(w)", "next", "x86_64", false},
		{"f arch=ppc64le,ppc64: a(w)", "6.12", "ppc64", true},
		{"f arch=ppc64le,ppc64: a(w)", "6.12", "x86_64", false},
	} {
		if got := parse(t, tt.rule).Rules[0].Fits(tt.kernel, tt.arch); got != tt.want {
			t.Errorf("%q on %s, %s: %v", tt.rule, tt.kernel, tt.arch, got)
		}
	}
}

// TestOurs: our own rules can be read, each says where it is written, and what a
// guest gets is within the module's bounds.
func TestOurs(t *testing.T) {
	s := parse(t, workloads.Rules())
	source := regexp.MustCompile(`[a-z0-9_/]+\.c\b|arch_(add|remove)_memory|add_pages|for __add_memory`)
	seen := map[string]bool{}
	for _, r := range s.Rules {
		if !source.MatchString(r.Source) {
			t.Errorf("%s: no source, but %q", r.Name(), r.Source)
		}
		key := fmt.Sprintf("%q", []any{r.Name(), r.Arch, r.Since, r.Before})
		if seen[key] {
			t.Errorf("%s: two rules", key)
		}
		seen[key] = true
	}
	for _, kernel := range []string{"6.12.117", "6.1.0"} {
		for _, arch := range []string{"x86_64", "ppc64le"} {
			text, err := s.For(kernel, arch, nil)
			if err != nil || !strings.Contains(text, "\nonline_pages: device_hotplug_lock(w)") {
				t.Errorf("%s, %s: %v\n%s", kernel, arch, err, text)
			}
		}
	}
	if len(s.Rules) < 60 || len(s.Widen) > 0 {
		t.Errorf("%d rules, %d delays", len(s.Rules), len(s.Widen))
	}
}

// TestCountLines: what is only counted finds room last, and is no reason to go
// without the rules.
func TestCountLines(t *testing.T) {
	s := parse(t, "f: a(w)\nwatch counted upto=5\n")
	if got, want := s.CountLines([]string{"f", "counted", "g"}), "watch f upto=10000\nwatch g upto=10000\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	var b strings.Builder
	b.WriteString("f: a(w)\n")
	for i := range 5000 {
		fmt.Fprintf(&b, "watch f%d upto=1\n", i)
	}
	text, err := parse(t, b.String()).For("6.12", "x86_64", nil)
	if lines := strings.Count(text, "\n"); err != nil || lines != 1+4096 || !strings.HasPrefix(text, "f: a(w)\nwatch f0 upto=1\n") {
		t.Errorf("%d lines, %v", lines, err)
	}
}

// TestTooMany: more than the module takes is refused here, by name.
func TestTooMany(t *testing.T) {
	var b strings.Builder
	for i := range 161 {
		fmt.Fprintf(&b, "watch f%d\n", i)
	}
	if _, err := parse(t, b.String()).For("6.12", "x86_64", nil); blame.Of(err) != blame.User {
		t.Error(err)
	}
}

// TestBounds holds the bounds against those of the module.
func TestBounds(t *testing.T) {
	source, err := os.ReadFile("../../workloads/kmod/plugstorm_rules/rules.h")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"RULES_FUNCS\t160", "RULES_COUNTS\t4096", "RULES_RULES\t256", "RULES_TERMS\t8", "RULES_ALTS\t4", "RULES_NAME\t64", "RULES_BUSES\t2",
		"RULES_TEXT\t(256 << 10)", "RULES_DELAY\t10000", "RULES_LINE\t256",
	} {
		if !strings.Contains(string(source), "#define "+line) {
			t.Errorf("the module has no %q any more: change rules.go as well", line)
		}
	}
	if rules.MaxText != 256<<10 || rules.MaxDelay != 10*time.Millisecond {
		t.Error("and rules.go has other ones")
	}
}

// TestRoundTrip: what a guest is given is a rule file again, with the same rules.
func TestRoundTrip(t *testing.T) {
	name := rapid.StringMatching(`[a-z_][a-z0-9_]{0,20}`)
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for range rapid.IntRange(0, 10).Draw(t, "rules") {
			fmt.Fprintf(&b, "%s:", name.Draw(t, "func"))
			for range rapid.IntRange(1, 8).Draw(t, "terms") {
				fmt.Fprintf(&b, rapid.SampledFrom([]string{" %s(w)", " %s(r)", " !%s", " !%[1]s(w)", " %s(w)|x(r)"}).Draw(t, "term"), name.Draw(t, "lock"))
			}
			b.WriteByte('\n')
		}
		s, err := rules.Parse(b.String(), "test")
		if err != nil {
			t.Fatal(err)
		}
		text, err := s.For("6.12", "x86_64", nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := rules.Parse(text, "again")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
