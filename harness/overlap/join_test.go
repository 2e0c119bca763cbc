// SPDX-License-Identifier: Apache-2.0

package overlap_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/overlap"
)

func TestJoin(t *testing.T) {
	a := &overlap.Table{
		Storm: 10 * time.Second, Count: 3, Close: 1, PairSeconds: 2, Meets: overlap.Meets{Planned: 4, Met: 3, Overlapped: 2},
		Pairs:     []overlap.PairCount{{Pair: overlap.Pair{"a", "b"}, Count: overlap.Count{Count: 3, Time: time.Second}}},
		Never:     []overlap.Pair{{"a", "c"}, {"b", "c"}},
		Workloads: []overlap.WorkloadCount{{Kind: "a", Workload: "w", Count: overlap.Count{Count: 1, Time: time.Second}}},
	}
	b := &overlap.Table{
		Storm: 5 * time.Second, Count: 6, Close: 2, PairSeconds: 3, Meets: overlap.Meets{Planned: 1, Met: 1, Overlapped: 1},
		Pairs: []overlap.PairCount{
			{Pair: overlap.Pair{"a", "c"}, Count: overlap.Count{Count: 5, Time: time.Second}}, {Pair: overlap.Pair{"a", "b"}, Count: overlap.Count{Count: 1, Time: time.Second}},
		},
		Never:     []overlap.Pair{{"b", "c"}},
		Workloads: []overlap.WorkloadCount{{Kind: "a", Workload: "w", Count: overlap.Count{Count: 2, Time: time.Second}}},
	}
	want := &overlap.Table{
		Storm: 15 * time.Second, Count: 9, Close: 3, PairSeconds: 5, Meets: overlap.Meets{Planned: 5, Met: 4, Overlapped: 3},
		Pairs: []overlap.PairCount{
			{Pair: overlap.Pair{"a", "c"}, Count: overlap.Count{Count: 5, Time: time.Second}}, {Pair: overlap.Pair{"a", "b"}, Count: overlap.Count{Count: 4, Time: 2 * time.Second}},
		},
		Never:     []overlap.Pair{{"b", "c"}},
		Workloads: []overlap.WorkloadCount{{Kind: "a", Workload: "w", Count: overlap.Count{Count: 3, Time: 2 * time.Second}}},
	}
	if diff := cmp.Diff(want, overlap.Join(a, nil, b)); diff != "" {
		t.Error(diff)
	}
}
