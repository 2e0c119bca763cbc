// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"encoding/json"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/zones"
)

const (
	zoneSamples = 20                     // at most: what all of them complain of does not pass
	zonePause   = 200 * time.Millisecond // between samples, for what changes to change; stretched
)

// recordZones writes down what the guest says of its zones. A guest that can't
// say it (it is gone, or has no memory hotplug) says it in other ways, too. What
// was under way when the storm ended may go on for a while, so a guest that
// seems wrong is asked again; one sample without a complaint is enough.
func (g *guest) recordZones(ctx context.Context, quiet bool) {
	report := zones.Report{Quiet: quiet}
	for len(report.Samples) == 0 || len(report.Samples) < zoneSamples && suspicious(report) {
		if len(report.Samples) > 0 && !op.Pause(ctx, g.vm.Deadline(zonePause)) {
			return
		}
		var sample agent.ZonesReply
		if g.vm.Agent.Call(ctx, agent.MethodZones, agent.ZonesParams{Blocks: quiet}, &sample) != nil {
			return
		}
		report.Samples = append(report.Samples, sample)
	}
	text, _ := json.Marshal(report)
	g.history.Add(history.Event{Type: history.Zones, Guest: g.number, Text: string(text)})
}

func suspicious(r zones.Report) bool {
	complaints, err := zones.Check(r)
	return err == nil && len(complaints) > 0
}
