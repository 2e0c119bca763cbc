// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

var fragmentOptions = map[string]int64{
	"percent": 70,   // of what is free, to be taken in large pieces; of the rest, half is taken in single pages and every other one given back
	"hold_ms": 1000, // how long memory stays in pieces
	"rest_ms": 1000, // and how long it is whole
}

// Fragment has kcompactd compact of its own accord.
var Fragment = agent.Workloads.Register(&agent.Workload{
	Name: "fragment",
	Doc: "takes most of free memory and leaves a part of the rest in single pages, every other one of a mapping, and turns vm.compaction_proactiveness up: kcompactd of every node compacts " +
		"of its own accord, which it does for fragmented nodes only (mm/compaction.c should_proactive_compact_node); " +
		"options percent (of free memory that is taken in large pieces), hold_ms (how long it stays in pieces), rest_ms (how long it is whole)",
	Options: fragmentOptions,
	Run:     fragment{tree: guest}.run,
})

type fragment struct{ tree sysfs.Tree }

// The sysctl that wakes kcompactd when it is written.
const proactiveness = "proc/sys/vm/compaction_proactiveness"

func (f fragment) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	k := knobs{tree: f.tree, list: []knob{{proactiveness, []string{"100"}}}}
	defer k.restore(k.save())
	// Best effort: memory may be short.
	_ = os.WriteFile(f.tree.Path("proc/self/oom_score_adj"), []byte("1000"), 0)
	percent := min(max(p.Option("percent", fragmentOptions["percent"]), 1), 90)
	hold := time.Duration(p.Option("hold_ms", fragmentOptions["hold_ms"])) * time.Millisecond
	rest := time.Duration(p.Option("rest_ms", fragmentOptions["rest_ms"])) * time.Millisecond
	l := loop{params: p, meter: m, threads: 1, refuses: knobRefusals}
	return l.run(ctx, same(func(ctx context.Context, _ *rand.Rand) error {
		free, err := freeBytes()
		if err != nil {
			return err
		}
		err = f.round(ctx, free/100*percent, free/100*(100-percent)/2, hold)
		pause(ctx, rest)
		return err
	}))
}

// round takes bytes whole and bytes to leave in pieces, gives every other page of
// these back, and has kcompactd look at it: how fragmented a node is says the part
// of what is free that is of no use for a huge page (mm/vmstat.c
// extfrag_for_order), so the whole ones are taken out of its sight.
func (f fragment) round(ctx context.Context, whole, pieces int64, hold time.Duration) error {
	large, err := anonymous(whole, unix.MADV_HUGEPAGE)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(large) }()
	small, err := anonymous(pieces, unix.MADV_NOHUGEPAGE)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(small) }()
	page := os.Getpagesize()
	for _, pages := range [][]byte{large, small} {
		for at := 0; at < len(pages) && ctx.Err() == nil; at += page {
			pages[at]++
		}
	}
	for at := 0; at < len(small) && ctx.Err() == nil; at += 2 * page {
		if err := unix.Madvise(small[at:at+page], unix.MADV_DONTNEED); err != nil {
			return fmt.Errorf("madvise: %w", err)
		}
	}
	if err := sysfs.Write(ctx, f.tree.Path(proactiveness), "100"); err != nil {
		return err
	}
	pause(ctx, hold)
	return nil
}

// anonymous maps a page and more of memory that isn't there yet, with an advice.
func anonymous(size int64, advice int) ([]byte, error) {
	page := os.Getpagesize()
	pages, err := unix.Mmap(-1, 0, max(int(size)&^(page-1), page), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	_ = unix.Madvise(pages, advice) // EINVAL without huge pages
	return pages, nil
}
