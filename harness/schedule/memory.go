// SPDX-License-Identifier: Apache-2.0

package schedule

import "plugstorm/harness/vm"

// MaxMiB is the most memory that a guest of a machine has under the scenario:
// what it boots with and every DIMM that its lanes may plug.
func (s *Scenario) MaxMiB(m *vm.Machine) int {
	most := 0
	for _, part := range s.Parts {
		most = max(most, part.MaxMiB(m))
	}
	if len(s.Parts) > 0 {
		return most
	}
	units := s.ColdDIMMs * vm.ColdUnits
	for _, lane := range s.Lanes {
		units += lane.DIMMs * max(1, lane.MaxUnits)
	}
	return m.MemMiB + units*m.DIMM.UnitMiB
}
