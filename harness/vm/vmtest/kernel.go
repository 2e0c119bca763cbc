// SPDX-License-Identifier: Apache-2.0

package vmtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
)

// kernel is what the guest's kernel knows.
type kernel struct {
	unit    uint64 // bytes of a memory block
	auto    bool   // it onlines new memory by itself
	selfCPU bool   // and new CPUs
	blocks  map[uint64]bool
	present map[int]bool // CPUs; true if online
	work    map[string]string
	entropy [][]byte // what it was given
}

func newKernel(s vm.Spec) kernel {
	m := s.Machine
	k := kernel{
		unit: uint64(m.DIMM.UnitMiB) << 20, auto: s.AutoOnline, selfCPU: !m.VCPU.GuestOnlines,
		blocks: map[uint64]bool{}, present: map[int]bool{}, work: map[string]string{},
	}
	cpus := m.VCPU.Boot
	if m.VCPU.ColdPlugged {
		cpus += m.VCPU.Plug
	}
	online := cpus
	for _, arg := range vm.KernelArgs(&s) {
		if n, ok := strings.CutPrefix(arg, "maxcpus="); ok {
			online, _ = strconv.Atoi(n) // it is ours
		}
	}
	for i := range cpus {
		k.present[i] = i < online
	}
	return k
}

func (k *kernel) addMemory(start, size uint64) {
	for id := start / k.unit; id < (start+size)/k.unit; id++ {
		k.blocks[id] = k.auto
	}
}

func (k *kernel) removeMemory(start, size uint64) {
	for id := start / k.unit; id < (start+size)/k.unit; id++ {
		delete(k.blocks, id)
	}
}

func (k *kernel) addCPU(i int) { k.present[i] = k.selfCPU }

func (k *kernel) removeCPU(i int) { delete(k.present, i) }

func (g *Guest) serveAgent() {
	go g.beat()
	g.Event(agent.EventHello, g.hello())
	lines := agent.NewLineReader(g.channel)
	for {
		line, err := lines.Next()
		if err != nil {
			return
		}
		var request agent.Request
		if json.Unmarshal(line, &request) == nil {
			go g.serve(request)
		}
	}
}

func (g *Guest) hello() agent.Hello {
	return agent.Hello{Protocol: agent.ProtocolVersion, Release: "6.12.0-fake", Transport: "virtio-serial", Modules: g.now().Modules}
}

// Event sends an event of the agent's.
func (g *Guest) Event(name string, result any) {
	raw, err := agent.EncodeRaw(result)
	if err != nil {
		panic(err)
	}
	g.say(agent.Reply{Event: name, Result: raw})
}

// say sends a message of the agent's. A channel that is gone takes none.
func (g *Guest) say(r agent.Reply) {
	line, err := agent.EncodeLine(r)
	if err != nil {
		panic(err)
	}
	g.wires.channel.Lock()
	defer g.wires.channel.Unlock()
	_, _ = g.channel.Write(line)
}

func (g *Guest) serve(request agent.Request) {
	if g.muted() {
		return
	}
	if request.Method != agent.MethodPing && request.Method != agent.MethodHello {
		g.note(request.Method)
	}
	result, err := g.do(request)
	reply := agent.Reply{ID: request.ID}
	var refusal *agent.Error
	switch {
	case errors.Is(err, ErrNoAnswer):
		return
	case errors.As(err, &refusal):
		reply.Error = refusal
	case err != nil:
		reply.Error = &agent.Error{Message: err.Error()}
	default:
		if reply.Result, err = agent.EncodeRaw(result); err != nil {
			panic(err)
		}
	}
	g.say(reply)
}

func (g *Guest) do(request agent.Request) (any, error) {
	if handler := g.now().Methods[request.Method]; handler != nil {
		return handler(g, request.Params)
	}
	if request.Method == agent.MethodHello {
		return g.hello(), nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch k := &g.kernel; request.Method {
	case agent.MethodPing, agent.MethodWriteFile:
		return nil, nil
	case agent.MethodBlocked:
		return agent.BlockedReply{}, nil
	case agent.MethodTimers:
		return agent.TimersReply{}, nil
	case agent.MethodWake:
		return with(request.Params, k.wake)
	case agent.MethodCPUs:
		return k.cpus(), nil
	case agent.MethodMemory:
		return with(request.Params, k.memory)
	case agent.MethodSetBlock:
		return with(request.Params, k.setBlock)
	case agent.MethodSetCPU:
		return with(request.Params, k.setCPU)
	case agent.MethodStartWorkload:
		return with(request.Params, k.startWorkload)
	case agent.MethodStopWorkload:
		return with(request.Params, k.stopWorkload)
	default:
		return nil, fmt.Errorf("unknown method %q", request.Method)
	}
}

func with[P any](raw json.RawMessage, f func(P) (any, error)) (any, error) {
	var p P
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	return f(p)
}

func (k *kernel) cpus() agent.CPUsReply {
	r := agent.CPUsReply{Present: slices.Sorted(maps.Keys(k.present))}
	for _, cpu := range r.Present {
		if k.present[cpu] {
			r.Online = append(r.Online, cpu)
		}
	}
	return r
}

func (k *kernel) memory(p agent.MemoryParams) (any, error) {
	r := agent.MemoryReply{Present: true}
	for id := p.Start / k.unit; id < (p.Start+p.Size)/k.unit; id++ {
		online, there := k.blocks[id]
		if !there {
			r.Present = false
			continue
		}
		state := "offline"
		if online {
			state = "online"
		}
		r.Blocks = append(r.Blocks, agent.Block{ID: id, State: state, Bound: true})
	}
	return r, nil
}

func (k *kernel) setBlock(p agent.SetBlockParams) (any, error) {
	if _, there := k.blocks[p.ID]; !there {
		return nil, &agent.Error{Message: "no such memory block", Errno: "ENOENT"}
	}
	k.blocks[p.ID] = p.Value != "offline" && p.Value != "0"
	return nil, nil
}

func (k *kernel) setCPU(p agent.SetCPUParams) (any, error) {
	if _, there := k.present[p.CPU]; !there {
		return nil, &agent.Error{Message: "no such CPU", Errno: "ENOENT"}
	}
	k.present[p.CPU] = p.Online
	return nil, nil
}

func (k *kernel) startWorkload(p agent.StartWorkloadParams) (any, error) {
	if _, running := k.work[p.ID]; running {
		return nil, fmt.Errorf("workload instance %q is running", p.ID)
	}
	k.work[p.ID] = p.Name
	return nil, nil
}

func (k *kernel) stopWorkload(p agent.StopWorkloadParams) (any, error) {
	name, there := k.work[p.ID]
	if !there {
		return nil, fmt.Errorf("no workload instance %q", p.ID)
	}
	delete(k.work, p.ID)
	return agent.WorkloadStats{ID: p.ID, Name: name, Rounds: 1}, nil
}

// Blocks returns the kernel's memory blocks in the order of their addresses:
// true for online.
func (g *Guest) Blocks() []bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	var states []bool
	for _, id := range slices.Sorted(maps.Keys(g.kernel.blocks)) {
		states = append(states, g.kernel.blocks[id])
	}
	return states
}

// CPUs returns the kernel's CPUs: true for online.
func (g *Guest) CPUs() map[int]bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.kernel.present)
}

// Workloads returns the running workloads: their names by instance.
func (g *Guest) Workloads() map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.kernel.work)
}
