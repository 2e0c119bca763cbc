// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"plugstorm/harness/focus"
	"plugstorm/harness/vm"
	"plugstorm/images"
)

// TestOwnCallsOfNothing: a replay, a kernel of which nothing is known, and a focus
// without a function and its file have no calls of their own; no source is read.
func TestOwnCallsOfNothing(t *testing.T) {
	a, _, _ := testApp("")
	built, place := &images.Kernel{SystemMap: "gone/System.map"}, focus.Place{File: "mm/slub.c", Func: "new_slab"}
	for name, tt := range map[string]struct {
		p      *plan
		kernel *images.Kernel
		place  focus.Place
	}{
		"replay":         {&plan{flags: &runFlags{}, replays: map[string][]slot{}}, built, place},
		"unknown kernel": {&plan{flags: &runFlags{}}, &images.Kernel{}, place},
		"no file":        {&plan{flags: &runFlags{}}, built, focus.Place{Func: "new_slab"}},
		"no function":    {&plan{flags: &runFlags{}}, built, focus.Place{File: "mm/slub.c"}},
	} {
		if got, err := a.ownCalls(t.Context(), tt.p, vm.Machines.All()[0], tt.kernel, []focus.Place{tt.place}); err != nil || len(got) > 0 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
