// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

var fragmenterOptions = map[string]int64{
	"share":    40,   // of a node's free memory, in percent, that is taken and of which most is given back
	"most_mib": 64,   // but not more than that
	"hold_ms":  500,  // how long the holes stay
	"rest_ms":  1500, // how long all of it is free
}

// Fragmenter makes holes in a node's free memory.
var Fragmenter = agent.Workloads.Register(&agent.Workload{
	Name: "fragmenter",
	Doc: "takes a share of a node's free memory page by page, of hot-added nodes too, gives all but one page in sixteen back (MADV_DONTNEED), and turns compaction_proactiveness up: " +
		"kcompactd of that node compacts, which it does only where free memory is fragmented, and offlining has pages to migrate; " +
		"options share (percent of the node's free memory), most_mib (its bound), hold_ms (how long the holes stay), rest_ms (how long it is free)",
	Options: fragmenterOptions,
	Touches: []string{
		"mm/compaction.c:kcompactd", "mm/compaction.c:compact_node", "mm/compaction.c:compact_zone", "mm/compaction.c:compaction_proactiveness_sysctl_handler", "mm/compaction.c",
		"mm/migrate.c:migrate_pages",
	},
	Run: fragmenter{tree: guest}.run,
})

type fragmenter struct{ tree sysfs.Tree }

// holeEvery says which pages stay: one in so many. Any less than a huge page's
// worth fragments what is between them (mm/vmstat.c extfrag_for_order), and the
// fewer stay, the less there is to migrate.
const holeEvery = 16

// proactiveness, when written, has kcompactd of every node look at once whether
// to compact (mm/compaction.c compaction_proactiveness_sysctl_handler). At 100 it
// does so from 15 percent of fragmented free memory on (fragmentation_score_wmark).
const proactiveness = "proc/sys/vm/compaction_proactiveness"

func (f fragmenter) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	dieFirst(f.tree)
	share := p.Option("share", fragmenterOptions["share"])
	most := p.Option("most_mib", fragmenterOptions["most_mib"]) << 20
	hold := time.Duration(p.Option("hold_ms", fragmenterOptions["hold_ms"])) * time.Millisecond
	rest := time.Duration(p.Option("rest_ms", fragmenterOptions["rest_ms"])) * time.Millisecond
	turned := knobs{tree: f.tree, list: []knob{{proactiveness, []string{"100"}}}}
	before := turned.save()
	defer turned.restore(before)
	l := loop{params: p, meter: m, threads: 1, refuses: []unix.Errno{unix.ENOMEM, unix.EAGAIN, unix.EINVAL, unix.ENODEV, unix.ENOSYS, unix.EINTR}}
	return l.run(ctx, same(func(ctx context.Context, rng *rand.Rand) error {
		node, free, err := f.pick(rng)
		if err != nil {
			return err
		}
		low, err := lowWatermark(f.tree)
		if err != nil {
			return err
		}
		pages, err := holes(ctx, node, min(free/100*share, most), 2*low)
		if pages != nil {
			defer func() { _ = unix.Munmap(pages) }()
		}
		if err != nil {
			return err
		}
		err = sysfs.Write(ctx, f.tree.Path(proactiveness), "100")
		if errors.Is(err, unix.ENOENT) { // a kernel without compaction: the holes are there for offlining
			err = nil
		}
		pause(ctx, hold)
		defer pause(ctx, rest)
		return err
	}))
}

// pick draws a node that has memory and says how much of it is free, in bytes.
func (f fragmenter) pick(rng *rand.Rand) (node int, free int64, err error) {
	node, err = pickNode(f.tree, "has_memory", rng)
	if err == nil {
		var text string
		text, err = f.tree.Text("sys/devices/system/node", "node"+strconv.Itoa(node), "meminfo")
		free = nodeFree(text)
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || err == nil && free == 0 {
		return 0, 0, errIdle // no NUMA, or the node has just gone
	}
	return node, free, err
}

// nodeFree reads what is free, in bytes, off a node's meminfo ("Node 1 MemFree:
// 130012 kB", drivers/base/node.c node_read_meminfo); 0 if it isn't said.
func nodeFree(meminfo string) int64 {
	for line := range strings.Lines(meminfo) {
		if words := strings.Fields(line); len(words) == 5 && words[2] == "MemFree:" {
			kib, _ := strconv.ParseInt(words[3], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// holes takes memory of a node, unless no more than floor bytes are free of all,
// and gives all but one page in holeEvery back. It may have taken some of other nodes: nobody
// is killed when this one is full or goes away. What it returns is to be unmapped,
// even with an error.
func holes(ctx context.Context, node int, size, floor int64) ([]byte, error) {
	page := os.Getpagesize()
	size -= size % int64(holeEvery*page)
	if size <= 0 {
		return nil, errIdle
	}
	pages, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	_ = unix.Madvise(pages, unix.MADV_NOHUGEPAGE) // EINVAL without huge pages: none are in the way then
	if err := prefer(pages, node); err != nil {
		return pages, err
	}
	taken, err := touchAbove(ctx, pages, floor)
	if err != nil {
		return pages, err
	}
	for at := 0; at < taken && ctx.Err() == nil; at += holeEvery * page {
		if err := unix.Madvise(pages[at:at+(holeEvery-1)*page], unix.MADV_DONTNEED); err != nil {
			return pages, fmt.Errorf("MADV_DONTNEED: %w", err)
		}
	}
	return pages, nil
}

// touchAbove makes pages exist for as long as more than floor bytes are free,
// and says how many bytes of them do: others fill memory at the same time.
func touchAbove(ctx context.Context, pages []byte, floor int64) (taken int, err error) {
	for taken < len(pages) && ctx.Err() == nil {
		free, err := freeBytes()
		if err != nil || free <= floor+hogChunk {
			return taken, err
		}
		next := min(taken+max(hogChunk, holeEvery*os.Getpagesize()), len(pages))
		populate(pages[taken:next])
		taken = next
	}
	return taken, nil
}

// populate makes pages exist with one system call where the kernel has it (5.14):
// a page fault each is slow under TCG.
func populate(pages []byte) {
	if unix.Madvise(pages, unix.MADV_POPULATE_WRITE) != nil {
		touch(pages)
	}
}
