// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"math"
	"time"

	"plugstorm/harness/rules"
)

// A Widening is a kernel function at whose entry a guest may be delayed, to
// widen a race window.
type Widening struct {
	Func string
	Max  time.Duration // of the delay, at most rules.MaxDelay
}

// Widenings draws the delays of a guest: each with an even chance, from a 64th
// of its maximum to all of it. The same seed and guest give the same delays.
func (s *Scenario) Widenings(seed int64, guest int) []rules.Widening {
	r := laneRand(seed, fmt.Sprintf("widen %d", guest))
	var drawn []rules.Widening
	for _, w := range s.Widen {
		on, share := r.IntN(2) == 1, math.Exp2(-6*r.Float64())
		delay := min(time.Duration(share*float64(w.Max)), rules.MaxDelay).Truncate(time.Microsecond)
		if on && delay > 0 {
			drawn = append(drawn, rules.Widening{Func: w.Func, Delay: delay})
		}
	}
	return drawn
}
