// SPDX-License-Identifier: Apache-2.0

// Package detect says how good a hunter is: which of the bugs that were put
// into kernels on purpose were found, how soon, and by what. It is pure: runs
// are recorded as Results, and a Table is made of what is recorded, so that an
// interrupted benchmark goes on where it was, and an old one is counted anew.
package detect

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// ours is the name under which plugstorm itself hunts, beside its peers.
const ours = "plugstorm"

// A Subject is a bug to hunt: a plant, or a patch of the user's.
type Subject struct {
	Name     string // "s0a"
	Title    string
	Hazard   string     // the same in Markdown and in few words; may be empty
	Pick     []string   // the flags of plugstorm run that put it into a kernel
	Suite    string     // the scenario with which we hunt it
	Machines []string   // on which it shows
	Silent   []string   // on which nothing may show: negative controls
	Match    []*Matcher // the right findings; none: any finding is right
}

// expects reports whether it is said which finding is the right one.
func (s *Subject) expects() bool { return len(s.Match) > 0 }

// A Plan is what a benchmark is to measure.
type Plan struct {
	Subjects []Subject
	Machines []string        // to which it is limited; empty for no limit
	Peers    map[string]Peer // further hunters, by name
	Seeds    int             // runs of each cell
	First    int64           // the first seed
	Budget   time.Duration   // of each run, from the agent's start
}

// A Peer is another way to hunt.
type Peer struct {
	Suite  string // its scenario; empty for the subject's own
	Behind string // what stands behind its scenario's name, such as schedule.OneLane
	Cold   bool   // boots every guest
}

// A Cell is what one row of the table is about: one hunter after one subject
// on one machine.
type Cell struct {
	Subject *Subject
	Machine string
	By      string
	Suite   string
	Silent  bool // it is a negative control
	Cold    bool // every guest boots
}

func (c Cell) String() string {
	if c.By == ours {
		return fmt.Sprintf("%s on %s", c.Subject.Name, c.Machine)
	}
	return fmt.Sprintf("%s on %s by %s", c.Subject.Name, c.Machine, c.By)
}

// Cells lists the cells in the order of the table.
func (p *Plan) Cells() []Cell {
	var peers []string
	for name := range p.Peers {
		peers = append(peers, name)
	}
	slices.Sort(peers)
	var all []Cell
	for i := range p.Subjects {
		s := &p.Subjects[i]
		for _, machine := range slices.Concat(s.Machines, s.Silent) {
			if len(p.Machines) > 0 && !slices.Contains(p.Machines, machine) {
				continue
			}
			silent := slices.Contains(s.Silent, machine)
			all = append(all, Cell{s, machine, ours, s.Suite, silent, false})
			for _, name := range peers {
				peer := p.Peers[name]
				all = append(all, Cell{s, machine, name, cmp.Or(peer.Suite, s.Suite) + peer.Behind, silent, peer.Cold})
			}
		}
	}
	return all
}
