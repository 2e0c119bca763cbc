// SPDX-License-Identifier: Apache-2.0

package images

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/blame"
)

func TestParseExpectation(t *testing.T) {
	both := []string{"x86_64", "pseries"}
	for _, tt := range []struct {
		name, header string
		want         Expectation
	}{
		{"none", "", Expectation{Machines: both}},
		{"all", "plant: x\nhazard: bad luck\nsuite: seed4\nmachines: pseries\nsilent: x86_64\ndespite: k1 k2\nmatch: type HANG\nmatch: title a: b",
			Expectation{"bad luck", "seed4", []string{"pseries"}, []string{"x86_64"}, []string{"k1", "k2"}, []string{"type HANG", "title a: b"}}},
		{"indented lines are prose", " suite: seed4\n  match: x", Expectation{Machines: both}},
		{"silent everywhere", "silent: x86_64 pseries", Expectation{Silent: both}},
		{"carriage returns", "suite: seed1\r\nmachines: x86_64\r\n", Expectation{Suite: "seed1", Machines: []string{"x86_64"}}},
		{"arch both", "arch: both   config: PPC_64S", Expectation{Machines: both}},
		{"arch of two", "arch: x86_64 + pseries   config: x", Expectation{Machines: both}},
		{"arch with a slash", "arch: x86_64/ppc with ARCH_MEMORY_PROBE", Expectation{Machines: both}},
		{"arch x86", "arch: x86_64 (test_hmm)  config: X  ppc: none", Expectation{Machines: []string{"x86_64"}}},
		{"arch pseries", "arch: pseries, hash MMU only (disable_radix / POWER8)", Expectation{Machines: []string{"pseries"}}},
		{"arch is overruled", "arch: both\nmachines: x86_64", Expectation{Machines: []string{"x86_64"}}},
		{"arch that says nothing", "arch: any", Expectation{Machines: both}},
	} {
		if diff := cmp.Diff(tt.want, parseExpectation(tt.header)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// TestWithoutExpectation: what is expected of a bug changes no kernel's key,
// and everything else does.
func TestWithoutExpectation(t *testing.T) {
	for _, tt := range []struct{ name, patch, want string }{
		{"no header", "--- a/x\n+++ b/x\n", "--- a/x\n+++ b/x\n"},
		{"header", "plant: x\n---\nsuite: y\n", "plant: x\n---\nsuite: y\n"},
		{"all", "plant: x\nhazard: w\nsuite: y\nmachines: z\nsilent: a\nnote: b\ndespite: c\nmatch: d\nmeasured: e\n---\nmatch: f\n", "plant: x\nnote: b\n---\nmatch: f\n"},
		{"one line", "plant: x\nsuite: y\n---\n", "plant: x\n---\n"},
	} {
		if got := string(withoutExpectation([]byte(tt.patch))); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestReadPlant(t *testing.T) {
	file := filepath.Join(t.TempDir(), "h01-some-bug.patch")
	const header, diff = "plant: h01  some bug\nsuite: seed2\n---\nsuite: no\n", "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
	if err := os.WriteFile(file, []byte(header+diff), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := ReadPlant(file)
	if err != nil || p.ID != "h01" || p.Name != "h01-some-bug" || p.Title != "some bug" || p.Expect.Suite != "seed2" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := ReadPlant(file + "x"); blame.Of(err) != blame.User {
		t.Error(err)
	}
	if err := os.WriteFile(file, []byte(header), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPlant(file); blame.Of(err) != blame.User || blame.Next(err) == "" {
		t.Errorf("a file without a diff: %v", err)
	}
}
