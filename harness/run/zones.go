// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"encoding/json"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/history"
	"plugstorm/harness/zones"
)

const (
	zoneSamples = 3
	zonePause   = 300 * time.Millisecond // between samples, for what changes to change
)

// recordZones writes down what the guest says of its zones. A guest that can't
// say it (it is gone, or has no memory hotplug) says it in other ways, too.
func (g *guest) recordZones(ctx context.Context, quiet bool) {
	report := zones.Report{Quiet: quiet}
	for range zoneSamples {
		var sample agent.ZonesReply
		if g.vm.Agent.Call(ctx, agent.MethodZones, agent.ZonesParams{Blocks: quiet}, &sample) != nil || !pause(ctx, zonePause) {
			return
		}
		report.Samples = append(report.Samples, sample)
	}
	text, _ := json.Marshal(report)
	g.history.Add(history.Event{Type: history.Zones, Guest: g.number, Text: string(text)})
}
