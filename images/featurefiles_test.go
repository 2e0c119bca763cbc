// SPDX-License-Identifier: Apache-2.0

package images

import (
	"slices"
	"testing"
)

// TestFeaturesOfPatch: a patch brings in what compiles it, whether its header
// says so or not.
func TestFeaturesOfPatch(t *testing.T) {
	for patch, want := range map[string][]string{
		"--- a/mm/slub.c\n+++ b/mm/slub.c\n":                         nil,
		"--- a/mm/zswap.c\n+++ b/mm/zswap.c\t2026-01-01\n":           {"users"},
		"+++ b/mm/slub.c\n+++ b/kernel/trace/trace_osnoise.c\n":      {"users"},
		"--- a/kernel/padata.c\n+++ /dev/null\n":                     nil,
		"+ +++ b/mm/zswap.c\n":                                       nil,
		"+++ b/arch/powerpc/mm/zswap.c\n+++ b/mm/memory_hotplug.c\n": nil,
	} {
		if got := (&Plant{Patch: []byte(patch)}).Features(); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", patch, got, want)
		}
	}
	if got := (&Plant{Header: "config: PADATA+CRYPTO_PCRYPT", Patch: []byte("+++ b/kernel/padata.c\n")}).Features(); !slices.Equal(got, []string{"users"}) {
		t.Errorf("named twice: %q", got)
	}
}
