// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"time"

	"plugstorm/harness/schedule"
)

// Hunt looks for a bug of which nobody knows where it is.
var Hunt = schedule.Scenarios.Register(schedule.InTurn("hunt",
	"the suites of all five seeds, the failures and the crowd, in turn, a fresh guest each: for a patch or a kernel of which nobody knows where the bug is",
	2*time.Minute, 15*time.Second,
	Seed3, Seed4, Seed0, Errors, Seed2, Crowd, Seed1))
