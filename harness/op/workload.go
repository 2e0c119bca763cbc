// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
)

// workloadRates are the rounds per second and thread that are drawn. Under TCG
// one workload at full speed takes the CPUs that hotplug needs.
var workloadRates = []int{5, 20, 100}

// WorkloadStartOp starts a workload in the guest.
var WorkloadStartOp = Kinds.Register(&Kind{
	Name:     "workload-start",
	Doc:      "start an instance of a workload in the guest",
	Deadline: patience,
	Zero:     func() Op { return &WorkloadStart{} },
	Draw: func(r *rand.Rand, s *State) Op {
		w, ok := pick(r, s.Workloads)
		if !ok || len(s.Running) >= s.AtOnce {
			return nil
		}
		return &WorkloadStart{
			ID: fmt.Sprintf("%s-%d", s.prefix, s.started), Name: w.Name,
			Params: agent.Params{Seed: r.Int64(), Rate: workloadRates[r.IntN(len(workloadRates))], Threads: 1 + r.IntN(s.Threads)},
		}
	},
})

// A WorkloadStart is exported because a scenario names its workloads with it.
type WorkloadStart struct {
	ID     string       `json:"id"`
	Name   string       `json:"name"`
	Params agent.Params `json:"params"`
}

// Inject starts the instance.
func (o *WorkloadStart) Inject(ctx context.Context, v *vm.VM) error {
	return v.Agent.Call(ctx, agent.MethodStartWorkload,
		agent.StartWorkloadParams{ID: o.ID, Name: o.Name, Params: o.Params}, nil)
}

// Confirm has nothing to wait for: the agent has answered.
func (o *WorkloadStart) Confirm(context.Context, *vm.VM) error { return nil }

// Apply notes that it runs.
func (o *WorkloadStart) Apply(s *State) {
	s.started++
	s.Running[o.ID] = *o
}

// WorkloadStopOp stops a workload in the guest.
var WorkloadStopOp = Kinds.Register(&Kind{
	Name:     "workload-stop",
	Doc:      "stop an instance of a workload",
	Deadline: patience,
	Zero:     func() Op { return &workloadStop{} },
	Draw: func(r *rand.Rand, s *State) Op {
		if id, ok := pick(r, sortedKeys(s.Running)); ok {
			return &workloadStop{ID: id}
		}
		return nil
	},
})

// workloadGrace is how long a workload may take to clean up before it is killed.
const workloadGrace = 30 * time.Second

type workloadStop struct {
	ID string `json:"id"`
}

// Stops returns the ID of the workload that an op stops, if it is one that
// does.
func Stops(o Op) (id string, ok bool) {
	stop, ok := o.(*workloadStop)
	if !ok {
		return "", false
	}
	return stop.ID, true
}

func (o *workloadStop) Inject(ctx context.Context, v *vm.VM) error {
	var stats agent.WorkloadStats
	return guestRefusal(v.Agent.Call(ctx, agent.MethodStopWorkload,
		agent.StopWorkloadParams{ID: o.ID, LimitMS: v.Deadline(workloadGrace).Milliseconds()}, &stats))
}

func (o *workloadStop) Confirm(context.Context, *vm.VM) error { return nil }

func (o *workloadStop) Apply(s *State) { delete(s.Running, o.ID) }
