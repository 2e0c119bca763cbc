// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"testing"

	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
)

// TestFinalesFail: in a finale nothing is done that doesn't fail and leave its
// guest there at once. No lane has the name that its steps go by.
func TestFinalesFail(t *testing.T) {
	finales := 0
	for _, s := range schedule.Scenarios.All() {
		for _, lane := range s.Lanes {
			if lane.Name == schedule.FinaleLane {
				t.Errorf("%s has a lane %s", s.Name, lane.Name)
			}
		}
		if s.Finale == nil {
			continue
		}
		finales++
		for _, w := range s.Finale.Mix {
			if w.Kind.Fails != op.FailsAtFirst || w.Weight <= 0 {
				t.Errorf("%s: %s in its finale, weight %d", s.Name, w.Kind.Name, w.Weight)
			}
		}
		if s.Finale.Steps <= 0 || len(s.Finale.Users) == 0 {
			t.Errorf("%s: finale %+v", s.Name, s.Finale)
		}
	}
	if finales == 0 {
		t.Error("no suite has a finale")
	}
}
