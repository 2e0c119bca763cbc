// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"plugstorm/harness/pool"
	"plugstorm/harness/run"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
)

// maxVMs bounds --vms: what is above it is a slip of the finger.
const maxVMs = 64

// A slot is one of the runs that a machine has going at once: a guest after the
// other from a seed of its own, with a directory and a record of its own, so that
// it can be judged and replayed by itself.
type slot struct {
	number int // from 1; 0 for the only one
	of     int // how many the machine has; 0 for one
	seed   int64

	// Of a recorded one:
	steps  []schedule.Step // nil: they are drawn
	kernel string          // its key
	cold   bool            // its first guest booted
}

// dir is where a slot's record goes, below the machine's directory.
func (s slot) dir(machine string) string {
	if s.number == 0 {
		return machine
	}
	return filepath.Join(machine, slotDir(s.number))
}

// slotPrefix begins the names of slots' directories.
const slotPrefix = "slot-"

func slotDir(number int) string { return fmt.Sprint(slotPrefix, number) }

// slotDirs are where the records of a machine's n slots go.
func slotDirs(machine string, n int) []string {
	if n == 1 {
		return []string{slot{}.dir(machine)}
	}
	var dirs []string
	for i := range n {
		dirs = append(dirs, slot{number: i + 1}.dir(machine))
	}
	return dirs
}

// slots are those of a machine: the recorded ones, or fresh ones.
func (p *plan) slots(m *vm.Machine) []slot {
	if p.replays != nil {
		return p.replays[m.Name]
	}
	seeds := slotSeeds(p.seed, max(1, p.fresh[m.Name]))
	if len(seeds) == 1 {
		return []slot{{seed: seeds[0]}}
	}
	var all []slot
	for i, seed := range seeds {
		all = append(all, slot{number: i + 1, of: len(seeds), seed: seed})
	}
	return all
}

// slotSeeds are the seeds of n slots: the run's, and others that depend on it and
// on their number alone. They are scattered, so that the slots of runs from seeds
// 1, 2, 3 don't repeat each other.
func slotSeeds(seed int64, n int) []int64 {
	seeds := []int64{seed}
	for number := 2; len(seeds) < n; number++ {
		s := rand.New(rand.NewPCG(uint64(seed), uint64(number))).Int64N(math.MaxInt32) // small enough to type
		if !slices.Contains(seeds, s) {
			seeds = append(seeds, s)
		}
	}
	return seeds
}

// share decides how many guests run at a time, and shares them out among the
// machines: each gets one at least, the first ones the rest.
func (p *plan) share(asked int, host pool.Host) {
	if p.vms = asked; asked == 0 {
		var need int64
		for _, m := range p.machines {
			need = max(need, run.GuestBytes(p.scenario, m))
		}
		p.vms = host.Fit(need)
	}
	p.fresh = map[string]int{}
	for i, m := range p.machines {
		n := p.vms / len(p.machines)
		if i < p.vms%len(p.machines) {
			n++
		}
		p.fresh[m.Name] = max(1, n)
	}
}

// guestsWord says how many guests.
func guestsWord(n int) string {
	if n == 1 {
		return "1 guest"
	}
	return fmt.Sprintf("%d guests", n)
}
