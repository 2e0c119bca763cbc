// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"time"

	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
)

// Pace plugs and unplugs one DIMM as fast as it goes, with nothing else going
// on: what does the harness cost? `make bench` holds it against a bare QMP loop.
var Pace = schedule.Scenarios.Register(&schedule.Scenario{
	Name:   "pace",
	Doc:    "one DIMM in and out as fast as it goes, nothing else: for measuring",
	Length: 20 * time.Second, NoRules: true,
	Lanes: []schedule.Lane{{
		Name: "dimm", DIMMs: 1,
		Mix: []schedule.Weight{{Kind: op.DIMMAdd, Weight: 1}, {Kind: op.DIMMRemove, Weight: 1}},
	}},
})
