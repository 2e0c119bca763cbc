// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"plugstorm/harness/bare"
	"plugstorm/harness/schedule"
	"plugstorm/harness/speed"
	"plugstorm/harness/vm"
)

// A looped guest is what a bare loop did.
type looped struct {
	cycles  int
	took    time.Duration
	cpus    float64 // that QEMU ran on meanwhile
	private int64   // bytes that QEMU has for itself, at the end; 0: unknown
}

// pace is in cycles a second.
func (l looped) pace() float64 { return float64(l.cycles) / l.took.Seconds() }

// loop adds and removes a DIMM of a guest for as long as --loop says.
func (b *speedBench) loop(ctx context.Context, v *vm.VM) (looped, error) {
	ctx, cancel := context.WithTimeout(ctx, bareLimit)
	defer cancel()
	loop := bare.NewLoop(ctx, v)
	var l looped
	before, began := v.HostTime(), time.Now()
	for ; time.Since(began) < b.flags.loop; l.cycles++ {
		if err := loop.Cycle(ctx, "dimm"); err != nil {
			return l, err
		}
	}
	l.took = time.Since(began)
	l.cpus, l.private = v.HostTime().CPUs(before, l.took), v.Private()
	return l, nil
}

func (b *speedBench) bareLoop(ctx context.Context, t *speedTarget, s speed.Sample) (map[string]float64, error) {
	all, err := b.bareLoops(ctx, t, s, 1)
	if err != nil {
		return nil, err
	}
	l := all[0]
	return map[string]float64{"units_per_s": l.pace(), "cycles_per_s": l.pace(), "ops_per_s": 2 * l.pace(), "cpus": l.cpus}, nil
}

// bareLoops has n guests looped at the same time: none begins before all are up.
func (b *speedBench) bareLoops(ctx context.Context, t *speedTarget, s speed.Sample, n int) ([]looped, error) {
	guests := make([]*vm.VM, n)
	defer func() {
		for _, v := range guests {
			if v != nil {
				v.Close()
			}
		}
	}()
	boots, booting := errgroup.WithContext(ctx)
	for i := range guests {
		boots.Go(func() (err error) {
			guests[i], _, err = b.bareGuest(booting, t.spec, s)
			return err
		})
	}
	if err := boots.Wait(); err != nil {
		return nil, err
	}
	all := make([]looped, n)
	loops, looping := errgroup.WithContext(ctx)
	for i, v := range guests {
		loops.Go(func() (err error) {
			all[i], err = b.loop(looping, v)
			return err
		})
	}
	return all, loops.Wait()
}

func (b *speedBench) bareTogether(ctx context.Context, t *speedTarget, s speed.Sample) (map[string]float64, error) {
	all, err := b.bareLoops(ctx, t, s, s.Size)
	if err != nil {
		return nil, err
	}
	v := map[string]float64{}
	for _, l := range all {
		v["ops_per_s"] += 2 * l.pace()
		v["cpus"] += l.cpus / float64(s.Size)
		v["private_mib"] += float64(l.private) / (1 << 20) / float64(s.Size)
	}
	return v, nil
}

// together runs a suite on several guests at once.
func (b *speedBench) together(suite *schedule.Scenario) func(context.Context, *speedTarget, speed.Sample) (map[string]float64, error) {
	return func(ctx context.Context, t *speedTarget, s speed.Sample) (map[string]float64, error) {
		runs, c, err := b.callTogether(ctx, t, s, suite, s.Size, "--seed", fmt.Sprint(s.Rep), "--duration", b.flags.loop.String())
		if err != nil {
			return nil, err
		}
		guest := c.guest()
		v := map[string]float64{"ops_per_s": joinedPace(runs), "controller_mib": c.memory.peak, "qemu_mib": guest.resident, "private_mib": guest.private}
		var sum cost
		for _, r := range runs {
			v["start_s"] = max(v["start_s"], r.first.Seconds())
			one := r.costs()
			sum.cpus += one.cpus / float64(len(runs))
			sum.controller = max(sum.controller, one.controller) // it is one for all
			sum.ops += one.ops
		}
		sum.into(v)
		return v, nil
	}
}

// joinedPace is how many ops all runs did in a second, in the time in which all of
// them were at it. Where the host has no room for all of them, some come after others:
// if that time is less than half of a run's, it is in all of the time.
func joinedPace(runs []*traced) float64 {
	from, to := runs[0].first, runs[0].end()
	begin, end, longest, done := from, to, time.Duration(0), 0
	for _, r := range runs {
		begin, end = max(begin, r.first), min(end, r.end())
		from, to = min(from, r.first), max(to, r.end())
		longest = max(longest, r.stormed)
	}
	if end-begin < longest/2 {
		begin, end = from, to
	}
	if end <= begin {
		return 0
	}
	for _, r := range runs {
		done += r.doneIn(begin, end)
	}
	return float64(done) / (end - begin).Seconds()
}
