// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads"
	"plugstorm/workloads/sysfs"
)

// A method decodes its params, works, and returns its result or an error.
type method func(*guestAgent, json.RawMessage) (any, error)

var methods = map[string]method{
	agent.MethodHello:         bare(func(a *guestAgent) (any, error) { return a.hello(), nil }),
	agent.MethodPing:          bare(func(*guestAgent) (any, error) { return nil, nil }),
	agent.MethodWake:          with((*guestAgent).wake),
	agent.MethodTimers:        with((*guestAgent).timers),
	agent.MethodMemory:        with((*guestAgent).awaitMemory),
	agent.MethodSetBlock:      with((*guestAgent).setBlock),
	agent.MethodCPUs:          with((*guestAgent).awaitCPUs),
	agent.MethodSetCPU:        with((*guestAgent).setCPU),
	agent.MethodFailWorkers:   with((*guestAgent).failWorkers),
	agent.MethodZones:         with((*guestAgent).zones),
	agent.MethodBooks:         bare((*guestAgent).books),
	agent.MethodBlocked:       bare((*guestAgent).blocked),
	agent.MethodStartWorkload: with(func(a *guestAgent, p agent.StartWorkloadParams) (any, error) { return nil, a.work.start(p) }),
	agent.MethodStopWorkload:  with(func(a *guestAgent, p agent.StopWorkloadParams) (any, error) { return a.work.stop(p) }),
	agent.MethodReadFile:      with((*guestAgent).readFile),
	agent.MethodWriteFile:     with((*guestAgent).writeFile),
	agent.MethodLoadModule:    with((*guestAgent).loadModule),
	agent.MethodUnloadModule:  with((*guestAgent).unloadModule),
	agent.MethodPowerOff:      bare((*guestAgent).schedulePowerOff),
}

func with[P any](f func(*guestAgent, P) (any, error)) method {
	return func(a *guestAgent, raw json.RawMessage) (any, error) {
		var p P
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, fmt.Errorf("params: %w", err)
		}
		return f(a, p)
	}
}

func bare(f func(*guestAgent) (any, error)) method {
	return func(a *guestAgent, _ json.RawMessage) (any, error) { return f(a) }
}

// memory reports the blocks of a range. A block that goes away while it is
// read isn't there.
func (a *guestAgent) memory(p agent.MemoryParams) (agent.MemoryReply, error) {
	none := agent.MemoryReply{}
	size := a.blockBytes()
	if size == 0 {
		return none, errors.New("this kernel has no memory hotplug")
	}
	first, last := uint64(0), ^uint64(0)
	if p.Size != 0 {
		if p.Start+p.Size < p.Start {
			return none, fmt.Errorf("bad range %#x+%#x", p.Start, p.Size)
		}
		first, last = p.Start/size, (p.Start+p.Size-1)/size
	}
	ids, err := a.blockIDs(first, last)
	if err != nil {
		return none, err
	}
	reply := agent.MemoryReply{Blocks: []agent.Block{}}
	for _, id := range ids {
		state, err := a.tree.BlockState(id)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
			continue
		}
		if err != nil {
			return none, err
		}
		reply.Blocks = append(reply.Blocks, agent.Block{ID: id, State: state, Bound: a.tree.BlockBound(id)})
	}
	reply.Present = p.Size == 0 || uint64(len(reply.Blocks)) == last-first+1
	return reply, nil
}

// blockBytes is the size of a memory block, which a kernel doesn't change; 0 without
// memory hotplug.
func (a *guestAgent) blockBytes() uint64 {
	if a.block.Load() == 0 {
		a.block.Store(a.tree.BlockBytes())
	}
	return a.block.Load()
}

// fewBlocks is of how many blocks each is tried rather than looked for: a
// directory takes longer to read.
const fewBlocks = 64

// blockIDs lists the IDs of blocks that may be there, from first to last.
func (a *guestAgent) blockIDs(first, last uint64) ([]uint64, error) {
	if last-first < fewBlocks {
		var ids []uint64
		for i := range last - first + 1 {
			ids = append(ids, first+i)
		}
		return ids, nil
	}
	ids, err := a.tree.BlockIDs()
	return slices.DeleteFunc(ids, func(id uint64) bool { return id < first || id > last }), err
}

// blockValues are the values that each attribute of a block takes.
var blockValues = map[string][]string{
	"state":  {"online", "online_kernel", "online_movable", "offline"},
	"online": {"0", "1"},
}

func (a *guestAgent) setBlock(p agent.SetBlockParams) (any, error) {
	if !slices.Contains(blockValues[p.Via], p.Value) {
		return nil, fmt.Errorf("a block's %q can't be set to %q", p.Via, p.Value)
	}
	ctx, cancel := limit(p.LimitMS)
	defer cancel()
	var reply agent.SetBlockReply
	var err error
	if p.FailNth > 0 {
		a.faulted.Store(true)
		reply.Failed, err = a.tree.SetBlockFailing(ctx, p.ID, p.Via, p.Value, p.FailNth)
	} else {
		sysfs.OnOwnThread(func() { err = a.tree.SetBlock(ctx, p.ID, p.Via, p.Value) })
	}
	return reply, err
}

func (a *guestAgent) failWorkers(p agent.FailWorkersParams) (any, error) {
	if !slices.Contains(sysfs.Faults, p.What) {
		return nil, fmt.Errorf("nothing called %q can fail", p.What)
	}
	who, ok := sysfs.Workers[p.Who]
	if !ok {
		return nil, fmt.Errorf("nobody is called %q", p.Who)
	}
	if p.Percent > 0 {
		a.faulted.Store(true)
	}
	return nil, a.tree.FailWorkers(context.Background(), p.What, who, p.Percent, p.Times, p.Skip)
}

func (a *guestAgent) setCPU(p agent.SetCPUParams) (any, error) {
	if p.CPU < 0 || p.FailStep < 0 {
		return nil, fmt.Errorf("bad CPU number %d or step %d", p.CPU, p.FailStep)
	}
	ctx, cancel := limit(p.LimitMS)
	defer cancel()
	var err error
	sysfs.OnOwnThread(func() {
		if p.FailStep > 0 {
			err = a.tree.SetCPUFailing(ctx, p.CPU, p.Online, p.FailStep-1)
		} else {
			err = a.tree.SetCPU(ctx, p.CPU, p.Online)
		}
	})
	return nil, err
}

// limit makes a context that ends after ms milliseconds, or never for 0.
func limit(ms int64) (context.Context, context.CancelFunc) {
	if ms <= 0 {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), time.Duration(ms)*time.Millisecond)
}

func (a *guestAgent) cpus() (agent.CPUsReply, error) {
	reply := agent.CPUsReply{Hardware: map[int]int{}}
	for list, into := range map[string]*[]int{
		"possible": &reply.Possible, "present": &reply.Present, "online": &reply.Online,
	} {
		cpus, err := a.tree.CPUs(list)
		if err != nil {
			return agent.CPUsReply{}, err
		}
		*into = cpus
	}
	for _, cpu := range reply.Present {
		if id, ok := a.tree.HardwareID(cpu); ok {
			reply.Hardware[cpu] = id
		}
	}
	return reply, nil
}

const (
	readDefault = 64 << 10
	readMax     = agent.MaxLine - 64<<10 // what doesn't fit after JSON's escapes is refused by EncodeLine
)

func (a *guestAgent) readFile(p agent.FileParams) (any, error) {
	most := p.Max
	if most <= 0 {
		most = readDefault
	}
	f, err := os.Open(p.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(min(most, readMax))))
	if err != nil {
		return nil, err
	}
	return agent.FileReply{Data: string(data)}, nil
}

func (a *guestAgent) writeFile(p agent.FileParams) (any, error) {
	return nil, sysfs.Write(context.Background(), p.Path, p.Data)
}

func (a *guestAgent) loadModule(p agent.ModuleParams) (any, error) {
	return nil, workloads.LoadModule(a.modules, p.Name, p.Params)
}

func (a *guestAgent) unloadModule(p agent.ModuleParams) (any, error) {
	return nil, workloads.UnloadModule(p.Name)
}

// farewell is how long the answer to power-off has to reach the host.
const farewell = 200 * time.Millisecond

// schedulePowerOff lets its own answer out first.
func (a *guestAgent) schedulePowerOff() (any, error) {
	time.AfterFunc(farewell, func() {
		defer a.note.guard(nil)
		a.note.printf("powers off")
		if err := a.powerOff(); err != nil {
			a.note.printf("power off: %v", err)
		}
	})
	return nil, nil
}
