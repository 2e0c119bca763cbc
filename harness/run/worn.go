// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"
	"time"

	"plugstorm/harness/op"
)

// A guest may come to a state in which the kernel rightly refuses what a lane is
// for: memory of its only DIMM holds a page that can't move, and no DIMM of this
// lane is added before that one has gone. A new guest is worth more then than the
// rest of the storm.
const (
	wornSteps = 60          // of one kind, refused in a row
	wornAfter = time.Minute // since the last one of it that was done; stretched by slowness
)

// A worn tells what a lane's steps come to, by their kind: a block may go offline
// and online for as long as one likes in a DIMM that can't leave.
type worn map[string]*streak

type streak struct {
	done    time.Time // the last one; zero while there was none: a kind may have nothing to do here at all
	refused int       // since then
}

// note takes a step in. It returns why the guest is worn out, or nil.
func (w worn) note(lane, kind string, outcome op.Outcome, now time.Time, limit time.Duration) error {
	s := w[kind]
	if s == nil {
		s = &streak{}
		w[kind] = s
	}
	switch outcome {
	case op.Done:
		s.done, s.refused = now, 0
	case op.Refused:
		s.refused++
	}
	if s.done.IsZero() || s.refused < wornSteps || now.Sub(s.done) < limit {
		return nil
	}
	return fmt.Errorf("%w: %s has been refused %d times in a row in lane %s", errTurnUp, kind, s.refused, lane)
}

// A breath is what a lane takes whose steps are refused one after the other: where
// QEMU or we refuse, that takes no time, and a thousand refusals a second keep the
// host from everything else. It is how many there were in a row.
type breath int

// The pauses after a refused step: none for a few, which schedules draw on purpose,
// then longer and longer ones.
const (
	breathAfter = 4
	breathFirst = 2 * time.Millisecond
	breathMost  = 500 * time.Millisecond
)

// next takes a step in, and says how long to pause after it.
func (b *breath) next(outcome op.Outcome) time.Duration {
	if outcome != op.Refused {
		*b = 0
		return 0
	}
	*b++
	if *b <= breathAfter {
		return 0
	}
	return min(breathFirst<<min(*b-breathAfter-1, 16), breathMost)
}
