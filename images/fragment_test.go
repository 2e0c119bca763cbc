// SPDX-License-Identifier: Apache-2.0

package images

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/blame"
)

// Every architecture has all fragments, every feature a doc, and the sum of
// them says what it must.
func TestEmbeddedFragments(t *testing.T) {
	for _, f := range Features() {
		if f.Doc == "" || strings.HasPrefix(f.Doc, "CONFIG") {
			t.Errorf("feature %s has no doc", f.Name)
		}
	}
	for _, arch := range Archs.All() {
		for _, f := range append(Features(), Feature{}) {
			var features []string
			if f.Name != "" {
				features = []string{f.Name}
			}
			all, err := wishes(arch, features)
			if err != nil {
				t.Errorf("%s %s: %v", arch.Name, f.Name, err)
			}
			for _, want := range []string{"CONFIG_PROVE_LOCKING", "CONFIG_MEMORY_HOTREMOVE", "CONFIG_DEVTMPFS", "CONFIG_KERNEL_GZIP"} {
				if !slices.ContainsFunc(all, func(w wish) bool { return w.Option == want && w.Value == "y" }) {
					t.Errorf("%s %s doesn't ask for %s", arch.Name, f.Name, want)
				}
			}
		}
	}
	if _, err := wishes(X8664, []string{"kmsan"}); blame.Of(err) != blame.User || !strings.Contains(blame.Next(err), "kasan") {
		t.Errorf("unknown feature: %v", err)
	}
}

func TestParseFragment(t *testing.T) {
	got, err := parseFragment("x.config", []byte("# A comment.\n\nCONFIG_A=y\nCONFIG_B=\"a b\"\n  CONFIG_C=17 # optional\n# CONFIG_D is not set\nCONFIG_E=n\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []wish{
		{"CONFIG_A", "y", "x.config", false, ""}, {"CONFIG_B", `"a b"`, "x.config", false, ""}, {"CONFIG_C", "17", "x.config", true, ""},
		{"CONFIG_D", "n", "x.config", true, ""}, {"CONFIG_E", "n", "x.config", false, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if text, want := string(configText(got)), "CONFIG_A=y\nCONFIG_B=\"a b\"\nCONFIG_C=17\n# CONFIG_D is not set\n# CONFIG_E is not set\n"; text != want {
		t.Errorf("text %q, want %q", text, want)
	}
	for _, bad := range []string{"CONFIG_A", "config_a=y", "CONFIG_A=y z", "CONFIG_A=y # because", "CONFIG_A=y # before=six", "CONFIG_A=y # before="} {
		if _, err := parseFragment("x.config", []byte("\n"+bad)); err == nil || !strings.Contains(err.Error(), "x.config:2") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

// TestWishesFor: an older kernel is asked what a newer one doesn't know.
func TestWishesFor(t *testing.T) {
	asked, err := parseFragment("x.config", []byte("CONFIG_A=y\nCONFIG_OLD=y # before=6.10\n"))
	if err != nil {
		t.Fatal(err)
	}
	for release, want := range map[string]int{
		"6.1.192": 2, "6.9": 2, "5.10.1": 2, "6.10": 1, "6.10.0-rc1": 1, "6.12": 1, "7.0-rc1": 1, "next": 1, "": 1,
	} {
		if got := wishesFor(release, asked); len(got) != want {
			t.Errorf("release %q is asked %v", release, got)
		}
	}
	if len(asked) != 2 {
		t.Error("the list itself was changed")
	}
}

func TestMergeWishes(t *testing.T) {
	got := mergeWishes([]wish{{"A", "y", "1", false, ""}, {"B", "y", "1", false, ""}}, []wish{{"A", "n", "2", true, ""}, {"C", "m", "2", false, ""}})
	want := []wish{{"A", "n", "2", true, ""}, {"B", "y", "1", false, ""}, {"C", "m", "2", false, ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What Kconfig makes of wishes, and what we say about it.
func TestUnmet(t *testing.T) {
	asked, err := parseFragment("hotplug.config", []byte(
		"CONFIG_OK=y\nCONFIG_TEST_HMM=m\nCONFIG_NR_CPUS=64\n# CONFIG_STAYS is not set\n# CONFIG_OLD is not set\nCONFIG_GONE=y\nCONFIG_MAYBE=y # optional\n"))
	if err != nil {
		t.Fatal(err)
	}
	config := "CONFIG_OK=y\nCONFIG_NR_CPUS=2\nCONFIG_STAYS=y\n# CONFIG_TEST_HMM is not set\n"
	tree := fstest.MapFS{
		"Kconfig": {Data: []byte("config OK\n\tbool\n\nmenuconfig STAYS\n\tbool\n\tdefault y\n\nconfig NR_CPUS\n\tint\n")},
		"lib/Kconfig.debug": {Data: []byte("config TEST_HMM\n\ttristate \"x\"\n\tdepends on TRANSPARENT_HUGEPAGE\n\tdepends on DEVICE_PRIVATE\n" +
			"\n\tselect X\n\nif FOO\nconfig OTHER\n\tdepends on BAR\nendif\n")},
		objDir + "/Kconfig": {Data: []byte("config GONE\n")},
	}
	err = explainUnmet(tree, "kernel 6.12", verifyConfig([]byte(config), asked))
	if err == nil {
		t.Fatal("nothing is amiss?")
	}
	want := `kernel 6.12 can't be configured as asked:
  CONFIG_TEST_HMM=m, asked for by hotplug.config, is not set (depends on TRANSPARENT_HUGEPAGE and DEVICE_PRIVATE)
  CONFIG_NR_CPUS=64, asked for by hotplug.config, came out as 2
  CONFIG_STAYS=n, asked for by hotplug.config, came out as y
  CONFIG_GONE=y, asked for by hotplug.config, is unknown to this kernel`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
	zero := append(slices.Clone(asked[:1]), wish{Option: "CONFIG_STAYS", Value: "n", Fragment: "x"}, wish{Option: "CONFIG_NR_CPUS", Value: "0", Fragment: "x"})
	if missed := verifyConfig([]byte("CONFIG_OK=y\nCONFIG_STAYS=0\nCONFIG_NR_CPUS=0\n"), zero); len(missed) > 0 {
		t.Errorf("a number that is 0 is off, and 0: %v", missed)
	}
	met := "CONFIG_OK=y\nCONFIG_NR_CPUS=64\nCONFIG_TEST_HMM=m\nCONFIG_GONE=y\n"
	if err := explainUnmet(tree, "kernel 6.12", verifyConfig([]byte(met), asked)); err != nil {
		t.Errorf("all is met but for an optional one: %v", err)
	}
}
