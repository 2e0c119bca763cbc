// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"plugstorm/harness/frame"
	"plugstorm/harness/waitgraph"
)

// WaitCycle is the finding that a predicted deadlock makes. The kernel has said
// nothing of it.
func WaitCycle(c waitgraph.Cycle) Finding {
	f := Finding{
		Title: frame.Printable(c.Title()), Type: TypeWaitCycle, Detector: "waitgraph", Identity: frame.Printable(c.Identity()),
		Stack: []string{}, CPU: -1, Start: -1, End: -1, Explain: frame.Printable(c.Chain()),
	}
	f.Text = f.Explain
	for _, fn := range c.Wait.Stack {
		f.Stack = append(f.Stack, frame.Printable(fn))
	}
	return f
}
