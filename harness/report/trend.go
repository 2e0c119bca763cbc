// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"time"

	"plugstorm/harness/verdict"
)

type trendJSON struct {
	First thirdJSON `json:"first"`
	Last  thirdJSON `json:"last"`
}

type thirdJSON struct {
	OpsPerMinute    float64 `json:"ops_per_minute"`
	ControllerMiB   float64 `json:"controller_mib"`
	ControllerMSPer float64 `json:"controller_ms_per_op"`
}

func newTrendJSON(t *verdict.Trend) *trendJSON {
	if t == nil {
		return nil
	}
	return &trendJSON{newThirdJSON(t.First), newThirdJSON(t.Last)}
}

func newThirdJSON(t verdict.Third) thirdJSON {
	return thirdJSON{t.PerMinute, mib(t.Controller), milliseconds(t.PerOp())}
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// trend says whether a long run slowed down, and whether the controller grew.
func (t *text) trend(v *verdict.Trend) {
	if v == nil {
		return
	}
	a, b := v.First, v.Last
	line := fmt.Sprintf("from the first third to the last: %.1f to %.1f steps a minute", a.PerMinute, b.PerMinute)
	if a.Controller > 0 && b.Controller > 0 {
		line += fmt.Sprintf("; the controller's memory %.1f to %.1f MiB", mib(a.Controller), mib(b.Controller))
	}
	if a.CPUs > 0 && b.CPUs > 0 {
		line += fmt.Sprintf(", its CPU time for a step %.2f to %.2f ms", milliseconds(a.PerOp()), milliseconds(b.PerOp()))
	}
	t.prose("trend   ", line)
}
