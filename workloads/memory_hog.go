// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"bufio"
	"bytes"
	"context"
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

var hogOptions = map[string]int64{
	"above_kib": 0,   // stop this far above the low watermark; negative goes deeper
	"hold_ms":   200, // how long memory stays full before it is given back
	"rest_ms":   800, // and how long others may have it
}

// MemoryHog fills memory and gives it back.
var MemoryHog = agent.Workloads.Register(&agent.Workload{
	Name: "memory-hog",
	Doc: "fills memory with anonymous pages until what is free falls to the sum of the zones' low watermarks, holds it, and gives a random part of it back: " +
		"kswapd, direct reclaim and compaction under hotplug, pages to migrate when a block goes offline; it is the OOM killer's first choice; " +
		"options above_kib (distance to the watermark, may be negative), hold_ms (how long it holds), rest_ms (how long it rests)",
	Touches: []string{
		"mm/vmscan.c:kswapd", "mm/vmscan.c:try_to_free_pages", "mm/page_alloc.c:__alloc_pages_slowpath", "mm/compaction.c:try_to_compact_pages",
		"mm/oom_kill.c", "mm/memory.c", "mm/rmap.c", "mm/shrinker.c",
	},
	Options: hogOptions,
	Run:     memoryHog{tree: guest}.run,
})

type memoryHog struct{ tree sysfs.Tree }

// hogChunk is how much is taken between two looks at what is free: little
// against the distance from the low to the min watermark, where allocations
// begin to fail.
const hogChunk = 256 << 10

func (h memoryHog) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	dieFirst(h.tree)
	above := p.Option("above_kib", hogOptions["above_kib"]) << 10
	hold := time.Duration(p.Option("hold_ms", hogOptions["hold_ms"])) * time.Millisecond
	rest := time.Duration(p.Option("rest_ms", hogOptions["rest_ms"])) * time.Millisecond
	l := loop{params: p, meter: m, threads: 1, refuses: []unix.Errno{unix.ENOMEM, unix.EAGAIN}}
	return l.run(ctx, func(int) (round, error) {
		var held [][]byte
		return func(ctx context.Context, rng *rand.Rand) error {
			floor, err := lowWatermark(h.tree)
			if err != nil {
				return err
			}
			held, err = fill(ctx, held, floor+above)
			if err == nil {
				pause(ctx, hold)
			}
			held = release(held, rng)
			pause(ctx, rest)
			return err
		}, nil
	})
}

// dieFirst makes this process the OOM killer's first choice. Best effort: off the
// guest, or without the file, it is killed later.
func dieFirst(tree sysfs.Tree) {
	_ = os.WriteFile(tree.Path("proc/self/oom_score_adj"), []byte("1000"), 0)
}

// fill takes chunks until no more than floor bytes are free. It returns what
// it holds even with an error.
func fill(ctx context.Context, held [][]byte, floor int64) ([][]byte, error) {
	for ctx.Err() == nil {
		free, err := freeBytes()
		if err != nil || free <= floor+hogChunk {
			return held, err
		}
		chunk, err := unix.Mmap(-1, 0, hogChunk, unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_ANONYMOUS|unix.MAP_PRIVATE|unix.MAP_POPULATE)
		if err != nil {
			return held, fmt.Errorf("mmap: %w", err)
		}
		touch(chunk) // MAP_POPULATE is quicker, and promises nothing
		held = append(held, chunk)
	}
	return held, nil
}

// release gives back a random part of the chunks, from random places, and at
// least half of them.
func release(held [][]byte, rng *rand.Rand) [][]byte {
	rng.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
	keep := 0
	if n := len(held) / 2; n > 0 {
		keep = rng.IntN(n + 1)
	}
	for _, chunk := range held[keep:] {
		_ = unix.Munmap(chunk) // it is ours and mapped
	}
	clear(held[keep:])
	return held[:keep]
}

// touch makes every page of b exist.
func touch(b []byte) {
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i]++
	}
}

func freeBytes() (int64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, err
	}
	return int64(info.Freeram) * int64(info.Unit), nil
}

// lowWatermark is the sum of the zones' low watermarks, in bytes.
func lowWatermark(tree sysfs.Tree) (int64, error) {
	zoneinfo, err := os.ReadFile(tree.Path("proc/zoneinfo"))
	if err != nil {
		return 0, err
	}
	pages, err := lowPages(zoneinfo)
	return pages * int64(os.Getpagesize()), err
}

// lowPages sums the low watermarks of /proc/zoneinfo (mm/vmstat.c
// zoneinfo_show_print), in pages.
func lowPages(zoneinfo []byte) (int64, error) {
	var sum int64
	found := false
	lines := bufio.NewScanner(bytes.NewReader(zoneinfo))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 2 || words[0] != "low" {
			continue
		}
		pages, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("zoneinfo: low watermark: %w", err)
		}
		sum += pages
		found = true
	}
	if !found {
		return 0, fmt.Errorf("zoneinfo: no low watermark in it")
	}
	return sum, lines.Err()
}
