// SPDX-License-Identifier: Apache-2.0

package op

import (
	"maps"

	"plugstorm/harness/calls"
)

// Aside is a copy of the state to draw from and to apply ops to, of which the
// lane itself never learns: its calls are dealt anew, and what is plugged or
// unplugged there is so in the copy alone. Those of its own sites fail there that
// fail only at a guest's end, and whenever calls fail one of its own is among them.
func (s *State) Aside() *State {
	aside := *s
	aside.DIMMs, aside.VCPUs, aside.Offline, aside.Running = maps.Clone(s.DIMMs), maps.Clone(s.VCPUs), maps.Clone(s.Offline), maps.Clone(s.Running)
	for id, dimm := range aside.DIMMs {
		aside.DIMMs[id] = DIMM{MiB: dimm.MiB, Offline: maps.Clone(dimm.Offline)}
	}
	aside.decks, aside.aside = map[string]*calls.Deck{}, true
	return &aside
}
