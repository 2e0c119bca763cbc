// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"testing"

	"plugstorm/harness/calls"
)

// TestCalls: what never failed is said by name.
func TestCalls(t *testing.T) {
	var b strings.Builder
	out := &text{w: &b}
	out.calls(nil)
	out.calls(calls.NewTally([]calls.Result{{Func: "a", Tried: 2, Fired: 1}, {Func: "b<c", Tried: 1}, {Func: "d", Tried: 1, Unavailable: "errno 2"}}, []string{"e"}))
	const want = `calls   functions that failed as they were to: 1; never: 2; not tried: 1
        never: b<c (not called while it was to fail) d (errno 2)
`
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
}
