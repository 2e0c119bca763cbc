// SPDX-License-Identifier: Apache-2.0

// Package workloads holds what runs inside the guest, a file each. The host
// imports it for the catalog only; every Run is made for the agent's child
// process, as root, in a guest that nobody else needs.
package workloads

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// guest is where the kernel's files are in the guest.
const guest = sysfs.Tree("/")

// errIdle says that there is nothing to act on now (no block on that node
// yet): the round isn't counted and the next one waits for idlePause.
var errIdle = errors.New("nothing to act on")

const idlePause = 100 * time.Millisecond

// A round does one round of a workload. rng belongs to the calling worker.
type round func(ctx context.Context, rng *rand.Rand) error

// A loop runs rounds on several workers at the rate the user asked for.
type loop struct {
	params  agent.Params
	meter   agent.Meter
	threads int          // default number of workers
	refuses []unix.Errno // what the kernel may legitimately answer
}

// run works until ctx ends. start makes the round of one worker and may lock
// its goroutine to a thread. An error of a round that isn't among the refusals
// ends all workers and is returned.
func (l loop) run(ctx context.Context, start func(worker int) (round, error)) error {
	threads := l.threads
	if l.params.Threads > 0 {
		threads = l.params.Threads
	}
	group, ctx := errgroup.WithContext(ctx)
	for worker := range threads {
		group.Go(func() error {
			r, err := start(worker)
			if err != nil {
				return err
			}
			rng := rand.New(rand.NewPCG(uint64(l.params.Seed), uint64(worker)))
			return l.work(ctx, r, rng)
		})
	}
	return group.Wait()
}

func (l loop) work(ctx context.Context, r round, rng *rand.Rand) error {
	pace, stop := ticks(l.params.Rate)
	defer stop()
	for ctx.Err() == nil {
		err := r(ctx, rng)
		switch {
		case err == nil:
			l.meter.Done()
		case errors.Is(err, errIdle):
			pause(ctx, idlePause)
		case ctx.Err() != nil: // what a stop interrupts is no refusal
			return nil
		case l.legitimate(err):
			l.meter.Refused(err)
		default:
			return err
		}
		if pace != nil {
			select {
			case <-ctx.Done():
			case <-pace:
			}
		}
	}
	return nil
}

// legitimate reports whether err is one of the refusals; of joined errors, each.
func (l loop) legitimate(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(joined.Unwrap(), func(e error) bool { return !l.legitimate(e) })
	}
	return isOneOf(err, l.refuses)
}

// isOneOf reports whether err is, or wraps, one of some errnos.
func isOneOf(err error, errnos []unix.Errno) bool {
	var errno unix.Errno
	return errors.As(err, &errno) && slices.Contains(errnos, errno)
}

// ticks paces rate rounds a second; a nil channel means no pace.
func ticks(rate int) (<-chan time.Time, func()) {
	if rate <= 0 {
		return nil, func() {}
	}
	ticker := time.NewTicker(max(time.Second/time.Duration(rate), time.Microsecond))
	return ticker.C, ticker.Stop
}

// pause waits for d or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// same gives every worker the same round, for rounds without state.
func same(r round) func(int) (round, error) {
	return func(int) (round, error) { return r, nil }
}

// pick draws one element; errIdle from an empty slice.
func pick[T any](rng *rand.Rand, from []T) (T, error) {
	if len(from) == 0 {
		var zero T
		return zero, errIdle
	}
	return from[rng.IntN(len(from))], nil
}

// pickNode draws a node of one of the kernel's lists of them ("online",
// "has_memory"). ENOENT says that the kernel has no NUMA.
func pickNode(tree sysfs.Tree, list string, rng *rand.Rand) (int, error) {
	text, err := tree.Text("sys/devices/system/node", list)
	if err != nil {
		return 0, err
	}
	nodes, err := sysfs.ParseList(text)
	if err != nil {
		return 0, err
	}
	return pick(rng, nodes)
}
