// SPDX-License-Identifier: Apache-2.0

package op

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"plugstorm/harness/agent"
	"plugstorm/harness/calls"
	"plugstorm/harness/vm"
)

// A State is what one lane of a schedule believes of the guest: every op
// drawn so far succeeded. Lanes own disjoint devices, so no lane needs to
// know of another's. It is pure: the real guest may differ, and an op that
// meets another truth is refused.
type State struct {
	DIMM     vm.DIMMGeometry
	Budget   vm.Budget
	MaxUnits int // largest DIMM drawn, in units

	DIMMSlots []string        // IDs of DIMMs this lane may plug
	DIMMs     map[string]DIMM // plugged
	VCPUSlots []int           // pluggable vCPUs this lane owns
	VCPUs     map[int]bool    // present
	CPUSlots  []int           // CPUs this lane may bring offline and online
	Offline   map[int]bool

	Workloads []*agent.Workload // that this lane may start
	Threads   int               // of a drawn workload, at most
	AtOnce    int               // drawn workloads running at the same time, at most
	Running   map[string]WorkloadStart
	started   int
	prefix    string
	atBoot    map[int]bool // vCPUs present at boot
	machine   string
	addsAgain bool                   // its guest can be asked to take a vCPU that it has given up
	decks     map[string]*calls.Deck // of calls that may fail, by what they are in the course of
	sites     []calls.Site           // see Share
	aside     bool                   // it is a copy, see Aside
}

// A DIMM as a lane sees it.
type DIMM struct {
	MiB     int
	Offline map[int]bool // memory blocks that are offline, by index in the DIMM
}

// A Share is what one lane owns of a machine. Numbers are counted over all
// lanes by the schedule.
type Share struct {
	Name      string
	FirstDIMM int
	DIMMs     int
	VCPUs     []int
	CPUs      []int
	Workloads []*agent.Workload
	MaxUnits  int
	Threads   int
	AtOnce    int
	Fresh     int          // so many vCPUs of the machine, the last, count as absent until they are online
	Sites     []calls.Site // that may fail besides those of our lists
}

// NewState is the state of a lane at boot.
func NewState(m *vm.Machine, b vm.Budget, share Share) *State {
	s := &State{
		DIMM: m.DIMM, Budget: b, MaxUnits: max(1, share.MaxUnits), Threads: max(1, share.Threads), AtOnce: max(1, share.AtOnce),
		DIMMs: map[string]DIMM{}, VCPUSlots: share.VCPUs, VCPUs: map[int]bool{},
		CPUSlots: share.CPUs, Offline: map[int]bool{},
		Workloads: share.Workloads, Running: map[string]WorkloadStart{}, prefix: share.Name,
		machine: m.Name, addsAgain: m.VCPU.AddRequest != "", decks: map[string]*calls.Deck{}, sites: share.Sites,
	}
	for i := range share.DIMMs {
		s.DIMMSlots = append(s.DIMMSlots, fmt.Sprintf("dimm%d", share.FirstDIMM+i))
	}
	if m.VCPU.ColdPlugged {
		for _, id := range share.VCPUs {
			s.VCPUs[id] = true
		}
	}
	for _, id := range m.VCPU.Fresh(share.Fresh) {
		delete(s.VCPUs, id)
	}
	s.atBoot = maps.Clone(s.VCPUs)
	return s
}

// Setup lists the ops that bring a freshly booted guest to this state.
func (s *State) Setup() []Spec {
	var ops []Spec
	for _, id := range sortedKeys(s.DIMMs) {
		dimm := s.DIMMs[id]
		ops = append(ops, Spec{DIMMAdd, &dimmAdd{ID: id, MiB: dimm.MiB, Node: s.DIMM.Node}})
		for _, i := range sortedKeys(dimm.Offline) {
			ops = append(ops, Spec{BlockOffline, &blockSet{Block: Block{DIMM: id, Index: i}, Via: "state", Value: "offline"}})
		}
	}
	for _, i := range s.VCPUSlots {
		switch {
		case s.VCPUs[i] && !s.atBoot[i]:
			ops = append(ops, Spec{VCPUAdd, &vcpuAdd{CPU: i}})
		case !s.VCPUs[i] && s.atBoot[i]:
			ops = append(ops, Spec{VCPURemove, &vcpuRemove{CPU: i}})
		}
	}
	for _, cpu := range sortedKeys(s.Offline) {
		ops = append(ops, Spec{CPUOffline, &cpuSet{CPU: cpu}})
	}
	for _, id := range sortedKeys(s.Running) {
		start := s.Running[id]
		ops = append(ops, Spec{WorkloadStartOp, &start})
	}
	return ops
}

// pick draws one of a list, which may be empty.
func pick[T any](r *rand.Rand, from []T) (T, bool) {
	if len(from) == 0 {
		var zero T
		return zero, false
	}
	return from[r.IntN(len(from))], true
}

// sortedKeys makes map iteration a function of the seed alone.
func sortedKeys[K interface{ ~int | ~string }, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}

func (s *State) freeDIMMs() []string {
	return slices.DeleteFunc(slices.Clone(s.DIMMSlots), func(id string) bool { _, used := s.DIMMs[id]; return used })
}

// blocks lists the (DIMM, block) pairs that are offline, or that aren't.
func (s *State) blocks(offline bool) []Block {
	var all []Block
	for _, id := range sortedKeys(s.DIMMs) {
		dimm := s.DIMMs[id]
		for i := range dimm.MiB / s.DIMM.UnitMiB {
			if dimm.Offline[i] == offline {
				all = append(all, Block{DIMM: id, Index: i})
			}
		}
	}
	return all
}
