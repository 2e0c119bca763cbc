// SPDX-License-Identifier: Apache-2.0

package images

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseFeature(t *testing.T) {
	for text, want := range map[string]Feature{
		"# Looks.\nCONFIG_A=y\n":                       {Name: "x", Doc: "Looks."},
		"# Doc.\n# More.\n# brings: a b_c\nCONFIG_A=y": {Name: "x", Doc: "Doc.", Brings: []string{"a", "b_c"}},
		"# Doc.\n# brings: a\n# brings: b\n":           {Name: "x", Doc: "Doc.", Brings: []string{"a", "b"}},
		"# Doc.\nCONFIG_A=y\n# brings: late\n":         {Name: "x", Doc: "Doc."},
	} {
		if diff := cmp.Diff(want, parseFeature("x", text)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

// The words of a fragment can match: FeaturesFor looks for small letters and _.
func TestFeatureWords(t *testing.T) {
	for _, f := range Features() {
		for _, word := range f.Brings {
			if word != strings.ToLower(word) || headerWord.FindString(word) != word || strings.Contains(word, "-") {
				t.Errorf("feature %s: word %q can't match", f.Name, word)
			}
			if got := FeaturesFor("a bug in " + word + ", somewhere"); !slices.Contains(got, f.Name) {
				t.Errorf("word %q brings %q, not %s", word, got, f.Name)
			}
		}
	}
}

// TestFeaturesFor: a header's word, or an option that only a feature sets,
// brings in a feature that brings code in, and no other.
func TestFeaturesFor(t *testing.T) {
	for header, want := range map[string][]string{
		"config: PROVE_LOCKING NUMA": nil, "": nil, "config: KCSAN": nil, "config: NOBODY_KNOWS": nil, "a use after free, KASAN finds it": nil,
		"arch: both   config: PADATA+CRYPTO_PCRYPT": {"users"}, "CONFIG_ZSWAP=y": {"users"}, "config: DEBUG_KMEMLEAK": {"users"}, "x86_64, X86_MCE": {"users"},
		"a lock order in padata": {"users"}, "mm/memory-failure.c: takes a lock": {"users"}, "Zswap, and others": {"users"},
		"swapping two lines": nil, "padatas": nil, "my_zswap_helper": nil,
	} {
		if got := FeaturesFor(header); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
