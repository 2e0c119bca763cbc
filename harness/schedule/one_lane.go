// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"math"
	"strings"
	"time"
)

// OneLane behind a scenario's name means that scenario with one lane, which
// does all that its lanes do, one step after the other: what is lost without
// collisions?
const OneLane = "+one-lane"

// Find finds a scenario by its name, behind which OneLane may stand.
func Find(name string) (*Scenario, error) {
	base, oneLane := strings.CutSuffix(name, OneLane)
	s, err := Scenarios.Get(base)
	if err != nil || !oneLane {
		return s, err
	}
	return s.inOneLane(), nil
}

func (s *Scenario) inOneLane() *Scenario {
	doc := s.Doc + "; one step after the other"
	if len(s.Parts) > 0 {
		var parts []*Scenario
		for _, part := range s.Parts {
			parts = append(parts, part.inOneLane())
		}
		return InTurn(s.Name+OneLane, doc, s.Length, s.Slice, parts...)
	}
	one := *s
	one.Name, one.Doc, one.Meet = s.Name+OneLane, doc, 0
	one.Lanes = []Lane{merge(s.Lanes)}
	return &one
}

// stepTime is about what a step takes. It decides no more than how often a lane
// with pauses comes.
const stepTime = 300 * time.Millisecond

// merge is a lane with the devices of all, in which each lane's ops come about as
// often as they would beside one another, and without pauses.
func merge(lanes []Lane) Lane {
	one := Lane{Name: "all"}
	for _, lane := range lanes {
		one.DIMMs += lane.DIMMs
		one.VCPUs += lane.VCPUs
		one.CPUs += lane.CPUs
		one.MaxUnits = max(one.MaxUnits, lane.MaxUnits)
		one.Threads = max(one.Threads, lane.Threads)
		one.AtOnce = max(one.AtOnce, lane.AtOnce)
		one.Workloads = append(one.Workloads, lane.Workloads...)
		total := 0
		for _, w := range lane.Mix {
			total += w.Weight
		}
		often := 1000 * float64(stepTime) / float64(stepTime+lane.Gap)
		for _, w := range lane.Mix {
			w.Weight = max(1, int(math.Round(often*float64(w.Weight)/float64(total))))
			one.Mix = append(one.Mix, w)
		}
	}
	return one
}
