// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/agent"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm/vmtest"
	"plugstorm/workloads"
)

// TestDrawnWorkloadsAreStopped: each workload that a step has started is
// stopped once, by a step or at the end.
func TestDrawnWorkloadsAreStopped(t *testing.T) {
	var mu sync.Mutex
	started, stopped := map[string]int{}, map[string]int{}
	count := func(counts map[string]int, result any) vmtest.Handler {
		return func(_ *vmtest.Guest, params json.RawMessage) (any, error) {
			var p struct {
				ID string `json:"id"`
			}
			if err := json.Unmarshal(params, &p); err != nil {
				return nil, err
			}
			mu.Lock()
			defer mu.Unlock()
			counts[p.ID]++
			return result, nil
		}
	}
	lane := schedule.Lane{Gap: time.Second, Threads: 1, AtOnce: 3, Workloads: []*agent.Workload{workloads.SlabStorm}}
	r := play{
		scenario: only(lane, op.WorkloadStartOp, op.WorkloadStopOp), duration: time.Minute,
		character: func(int) vmtest.Character {
			return vmtest.Character{Methods: map[string]vmtest.Handler{
				agent.MethodStartWorkload: count(started, nil), agent.MethodStopWorkload: count(stopped, agent.WorkloadStats{}),
			}}
		},
	}.perform(t)
	if r.err != nil || len(started) < 5 {
		t.Fatalf("%v, started %v", r.err, slices.Sorted(maps.Keys(started)))
	}
	if diff := cmp.Diff(started, stopped); diff != "" {
		t.Error(diff)
	}
}
