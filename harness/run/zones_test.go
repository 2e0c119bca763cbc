// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"encoding/json"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/history"
	"plugstorm/harness/vm/vmtest"
	"plugstorm/harness/zones"
)

// zoneInfo is a guest with one zone, which counts so many pages too many.
func zoneInfo(tooMany bool) string {
	if tooMany {
		return "Node 1, zone  Movable\n        present  1\n"
	}
	return "Node 1, zone  Movable\n        present  0\n"
}

// TestZones: what passes is asked again until it has passed, what stays is
// recorded as it is.
func TestZones(t *testing.T) {
	for name, settles := range map[string]int{"right": 0, "right in the end": 9, "never right": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			p := play{duration: 10 * time.Second, character: func(int) vmtest.Character {
				return vmtest.Character{Methods: map[string]vmtest.Handler{
					agent.MethodZones: func(_ *vmtest.Guest, params json.RawMessage) (any, error) {
						var q agent.ZonesParams
						if err := json.Unmarshal(params, &q); err != nil {
							return nil, err
						}
						if q.Blocks {
							asked++
						}
						return agent.ZonesReply{PageBytes: 4096, BlockBytes: 1 << 27, ZoneInfo: zoneInfo(asked <= settles)}, nil
					},
				}}
			}}
			r := p.perform(t)
			var reports []zones.Report
			for _, e := range r.Events {
				if e.Type == history.Zones {
					report, err := zones.Read([]byte(e.Text))
					if err != nil {
						t.Fatal(err)
					}
					reports = append(reports, report)
				}
			}
			if len(reports) != 2 || reports[0].Quiet || !reports[1].Quiet {
				t.Fatalf("%d reports", len(reports))
			}
			if got := len(reports[1].Samples); got != min(settles+1, 20) {
				t.Errorf("%d samples", got)
			}
			if complaints, err := zones.Check(reports[1]); err != nil || (len(complaints) > 0) != (name == "never right") {
				t.Errorf("%+v, %v", complaints, err)
			}
		})
	}
}
