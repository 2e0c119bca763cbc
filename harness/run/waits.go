// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/splat"
	"plugstorm/harness/waitgraph"
)

// These are stretched by the guest's slowness.
const (
	loadWaitsLimit = 10 * time.Second // to load the module
	readWaitsLimit = 5 * time.Second  // for each of its answers
	waitsEvery     = 2 * time.Second  // between two looks while the storm goes on
)

// How many looks go by until lockdep's order is read anew: it changes little, but a
// class that it doesn't have yet is of no use to other guests.
const (
	orderEvery = 10
	orderSoon  = 3 // if somebody has waited under such a class
)

// A waitWatch is what is known of a guest's waits while it lives.
type waitWatch struct {
	mu     sync.Mutex // a look at the end may meet the storm's last
	loaded bool
	looks  int             // since the order was read
	order  string          // "": never
	told   map[string]bool // identities of cycles that are recorded
}

// jointWaits are what the guests of a run have told of their waits, as far as it is
// recorded: the judge knows no more.
type jointWaits struct {
	mu   sync.Mutex
	seen *waitgraph.Union
	told map[string]bool // identities of cycles that are recorded
}

func newJointWaits() *jointWaits {
	return &jointWaits{seen: waitgraph.NewUnion(), told: map[string]bool{}}
}

// loadWaits has the guest's kernel note who waits for whom. A kernel that can't
// is tested without: that is written down. One that was restored has it, or says at
// its end that it hasn't.
func (g *guest) loadWaits(hello agent.Hello) {
	err := fmt.Errorf("this kernel goes without our modules")
	switch {
	case g.primed:
		err = nil
	case slices.Contains(hello.Modules, waitgraph.Module):
		ctx, cancel := context.WithTimeout(g.ctx, g.vm.Deadline(loadWaitsLimit))
		defer cancel()
		err = g.vm.Agent.Call(ctx, agent.MethodLoadModule, agent.ModuleParams{Name: waitgraph.Module}, nil)
	}
	if err != nil {
		g.recordWaits(waitgraph.Record{Why: err.Error()})
		return
	}
	g.recordWaits(waitgraph.Record{})
	g.noted.loaded, g.noted.told = true, map[string]bool{}
}

// watchWaits looks for predicted deadlocks until the storm ends.
func (g *guest) watchWaits() {
	for g.noted.loaded && op.Pause(g.ctx, g.vm.Deadline(waitsEvery)) {
		_ = g.lookAtWaits(g.ctx, false) // one that doesn't answer is watchHealth's
	}
}

// readWaits keeps what the guest noted, if it still tells.
func (g *guest) readWaits(ctx context.Context) {
	if !g.noted.loaded {
		return
	}
	if err := g.lookAtWaits(ctx, true); err != nil {
		g.recordWaits(waitgraph.Record{Why: err.Error()})
	}
}

// lookAtWaits reads what the module noted and looks for cycles in it. What shows
// a new one is recorded, and so is what stands there at the end.
func (g *guest) lookAtWaits(ctx context.Context, last bool) error {
	w := &g.noted
	w.mu.Lock()
	defer w.mu.Unlock()
	waits, err := g.readNotes(ctx, waitgraph.WaitsFile)
	if err != nil {
		return err
	}
	w.looks++
	if last || w.order == "" || w.looks >= orderEvery || w.looks >= orderSoon && !waitgraph.Covers(w.order, waits) {
		order, err := g.readNotes(ctx, waitgraph.OrderFile)
		if err != nil {
			return err
		}
		w.order, w.looks = order, 0
	}
	return g.judgeWaits(waits, last)
}

// judgeWaits looks for cycles in what the module has noted, by itself and with what
// the guests before have.
func (g *guest) judgeWaits(waits string, last bool) error {
	all := g.together
	all.mu.Lock()
	defer all.mu.Unlock()
	record, err := waitgraph.NewRecord(waits, g.noted.order, all.seen)
	if err != nil {
		return err
	}
	notes, order, err := record.Parse()
	if err != nil {
		return err
	}
	cycles := untold(waitgraph.Find(notes, order), g.noted.told, all.told)
	seen := all.seen.Clone()
	seen.Add(fmt.Sprintf("guest %d", g.number), notes, order)
	cycles = append(cycles, untold(seen.Cycles(), all.told)...)
	if last || len(cycles) > 0 {
		g.recordWaits(record)
		all.seen = seen
	}
	for _, c := range cycles {
		g.onComplaint(splat.WaitCycle(c))
	}
	return nil
}

// untold returns the cycles that aren't in the first set of identities, and puts
// them into all.
func untold(cycles []waitgraph.Cycle, told ...map[string]bool) []waitgraph.Cycle {
	return slices.DeleteFunc(cycles, func(c waitgraph.Cycle) bool {
		id := c.Identity()
		known := told[0][id]
		for _, set := range told {
			set[id] = true
		}
		return known
	})
}

func (g *guest) recordWaits(r waitgraph.Record) {
	text, _ := json.Marshal(r)
	g.history.Add(history.Event{Type: history.Waits, Guest: g.number, Text: string(text)})
}

func (g *guest) readNotes(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, g.vm.Deadline(readWaitsLimit))
	defer cancel()
	var reply agent.FileReply
	err := g.vm.Agent.Call(ctx, agent.MethodReadFile, agent.FileParams{Path: path, Max: waitgraph.MaxAnswer}, &reply)
	return reply.Data, err
}
