// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"

	"plugstorm/harness/calls"
)

// calls writes which calls failed as they were to, and which never did: nothing
// is known of how the kernel takes those.
func (t *text) calls(tally *calls.Tally) {
	if tally == nil {
		return
	}
	line := fmt.Sprintf("functions that failed as they were to: %d", tally.Fired)
	if len(tally.NotFired) > 0 {
		line += fmt.Sprintf("; never: %d", len(tally.NotFired))
	}
	if n := len(tally.NotTried); n > 0 {
		line += fmt.Sprintf("; not tried: %d", n)
	}
	t.prose("calls   ", line)
	var never []string
	for _, n := range tally.NotFired {
		never = append(never, fmt.Sprintf("%s (%s)", n.Func, n.Why))
	}
	if len(never) > 0 {
		t.list("        never: ", never)
	}
}
