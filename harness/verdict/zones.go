// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"

	"plugstorm/harness/history"
	"plugstorm/harness/splat"
	"plugstorm/harness/zones"
)

// zones judges what a guest said of its zones when its storm was over.
func (j *judge) zones(e history.Event) {
	report, err := zones.Read([]byte(e.Text))
	var complaints []zones.Complaint
	if err == nil {
		complaints, err = zones.Check(report)
	}
	if err != nil {
		j.fault(e.At, fmt.Sprintf("guest %d: what it says of its zones can't be read: %v", e.Guest, err), "look at its zones event in "+history.File)
		return
	}
	for _, c := range complaints {
		j.sight(e, splat.Finding{
			Title: c.Title(), Type: splat.TypeZone, Detector: "harness", Identity: c.Identity(),
			Stack: []string{}, CPU: -1, Start: -1, End: -1, Text: c.Text,
		})
	}
}
