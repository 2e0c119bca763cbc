// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"
	"time"

	"plugstorm/harness/op"
)

// A guest may come to a state in which the kernel rightly refuses all that a
// lane does: memory of its only DIMM holds a page that can't move, and no DIMM
// of this machine is added before that one has gone. A new guest is worth more
// then than the rest of the storm.
const (
	wornSteps = 60          // refused in a row
	wornAfter = time.Minute // since the last one that was done; stretched by slowness
)

// A worn counts what a lane's steps come to.
type worn struct {
	done    time.Time // the last one; zero while there was none: a lane may have nothing to do here at all
	refused int       // since then
}

// note takes a step in. It returns why the guest is worn out, or nil.
func (w *worn) note(lane string, outcome op.Outcome, now time.Time, limit time.Duration) error {
	switch outcome {
	case op.Done:
		w.done, w.refused = now, 0
	case op.Refused:
		w.refused++
	}
	if w.done.IsZero() || w.refused < wornSteps || now.Sub(w.done) < limit {
		return nil
	}
	return fmt.Errorf("%w: lane %s's last %d steps were refused", errTurnUp, lane, w.refused)
}
