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
	"percent": 50,   // of what is free, to be taken; half of it is given back in single pages
	"hold_ms": 1000, // how long memory stays in pieces
	"rest_ms": 1000, // and how long it is whole
}

// Fragment has kcompactd compact of its own accord.
var Fragment = agent.Workloads.Register(&agent.Workload{
	Name: "fragment",
	Doc: "leaves free memory in single pages, every other page of a large mapping, and turns vm.compaction_proactiveness up: kcompactd of every node compacts " +
		"of its own accord, which it does for fragmented nodes only (mm/compaction.c should_proactive_compact_node); " +
		"options percent (of free memory that is taken), hold_ms (how long it stays in pieces), rest_ms (how long it is whole)",
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
		err = f.round(ctx, free/100*percent, hold)
		pause(ctx, rest)
		return err
	}))
}

// round takes so many bytes, gives every other page back, and has kcompactd look
// at it.
func (f fragment) round(ctx context.Context, size int64, hold time.Duration) error {
	page := os.Getpagesize()
	pages, err := unix.Mmap(-1, 0, int(size)&^(page-1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	defer func() { _ = unix.Munmap(pages) }()
	_ = unix.Madvise(pages, unix.MADV_NOHUGEPAGE) // EINVAL without huge pages: all the better
	for at := 0; at < len(pages) && ctx.Err() == nil; at += page {
		pages[at]++
	}
	for at := 0; at < len(pages) && ctx.Err() == nil; at += 2 * page {
		if err := unix.Madvise(pages[at:at+page], unix.MADV_DONTNEED); err != nil {
			return fmt.Errorf("madvise: %w", err)
		}
	}
	if err := sysfs.Write(ctx, f.tree.Path(proactiveness), "100"); err != nil {
		return err
	}
	pause(ctx, hold)
	return nil
}
