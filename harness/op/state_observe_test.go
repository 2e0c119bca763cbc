// SPDX-License-Identifier: Apache-2.0

package op

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
	"plugstorm/harness/vm/vmtest"
)

// TestObserve: what a lane believes gives way to what the guest has, in the copy
// that is put aside only.
func TestObserve(t *testing.T) {
	for _, m := range machines {
		withGuest(t, spec(m), func(t *testing.T, g *vmtest.Guest) {
			attempt{op: addDIMM("dimm0"), want: Done}.check(t, g)
			attempt{op: setBlock(BlockOffline, 1, "state", "offline"), want: Done}.check(t, g)
			attempt{op: Spec{CPUOffline, &cpuSet{CPU: 1}}, want: Done}.check(t, g)
			lane := NewState(m, vm.Budget{}, Share{Name: "lane", DIMMs: 2, CPUs: []int{1}, VCPUs: []int{2}})
			lane.DIMMs["dimm1"] = DIMM{MiB: m.DIMM.UnitMiB, Offline: map[int]bool{}}
			aside := lane.Aside()
			lane.VCPUs[2], aside.VCPUs[2] = true, !m.VCPU.ColdPlugged
			if err := aside.Observe(t.Context(), g.VM); err != nil {
				t.Fatal(err)
			}
			if aside.VCPUs[2] != m.VCPU.ColdPlugged || !lane.VCPUs[2] {
				t.Errorf("%s: vCPUs %v, and the lane has %v", m.Name, aside.VCPUs, lane.VCPUs)
			}
			want := map[string]DIMM{"dimm0": {MiB: 512, Offline: map[int]bool{1: true}}}
			if diff := cmp.Diff(want, aside.DIMMs); diff != "" || !aside.Offline[1] {
				t.Errorf("%s: CPUs offline %v\n%s", m.Name, aside.Offline, diff)
			}
			if ids := slices.Collect(maps.Keys(lane.DIMMs)); !slices.Equal(ids, []string{"dimm1"}) || len(lane.Offline) > 0 {
				t.Errorf("%s: the lane has learnt of %q", m.Name, ids)
			}
			g.Become(method(agent.MethodMemory, errno("EIO")))
			if aside.Observe(t.Context(), g.VM) == nil {
				t.Errorf("%s: no error of a guest that doesn't say", m.Name)
			}
		})
	}
}
