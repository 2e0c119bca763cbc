// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// HugePages has transparent huge pages made, split and collapsed.
var HugePages = agent.Workloads.Register(&agent.Workload{
	Name: "huge-pages",
	Doc: "switches transparent huge pages on and off (khugepaged_mutex, start and stop of khugepaged, min_free_kbytes) and has khugepaged look all the time, at memory " +
		"of its own that is advised to be huge and has holes: huge pages are made by faults, split, and collapsed again, below mmap_lock, with compaction and " +
		"lru_add_drain_all; offlining finds huge pages to migrate; option hold_ms (how long a round keeps its memory, for khugepaged to come to it)",
	Options: hugePagesOptions,
	Touches: []string{
		"mm/khugepaged.c:khugepaged", "mm/khugepaged.c:khugepaged_do_scan", "mm/khugepaged.c:start_stop_khugepaged", "mm/khugepaged.c:set_recommended_min_free_kbytes",
		"mm/khugepaged.c", "mm/huge_memory.c:enabled_store", "mm/huge_memory.c", "mm/page_alloc.c:setup_per_zone_wmarks", "mm/compaction.c",
	},
	Run: hugePages{tree: guest}.run,
})

var hugePagesOptions = map[string]int64{"hold_ms": 50}

type hugePages struct{ tree sysfs.Tree }

const thpDir = "sys/kernel/mm/transparent_hugepage/"

// thpKnobs are turned between rounds, the one that starts and stops khugepaged most
// of all. It rests for 10 s and, when it got no page, for 60 s, if it isn't told
// otherwise (mm/khugepaged.c).
var thpKnobs = []knob{
	{thpDir + "enabled", []string{"always", "madvise", "never"}},
	{thpDir + "enabled", []string{"always", "madvise", "never"}},
	{thpDir + "enabled", []string{"always", "madvise", "never"}},
	{thpDir + "defrag", []string{"always", "defer", "madvise", "never"}},
	{thpDir + "khugepaged/defrag", []string{"0", "1"}},
	{thpDir + "khugepaged/scan_sleep_millisecs", []string{"0", "10"}},
	{thpDir + "khugepaged/alloc_sleep_millisecs", []string{"0", "10"}},
}

func (h hugePages) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	turned := knobs{tree: h.tree, list: thpKnobs}
	hold := time.Duration(p.Option("hold_ms", hugePagesOptions["hold_ms"])) * time.Millisecond
	before := turned.save()
	defer turned.restore(before)
	l := loop{params: p, meter: m, threads: 1, refuses: knobRefusals}
	return l.run(ctx, same(func(ctx context.Context, rng *rand.Rand) error {
		if err := turned.turn(ctx, rng); err != nil {
			return err
		}
		return hugeRound(ctx, rng, 2*hugePageBytes(h.tree), hold)
	}))
}

// hugePageBytes is a huge page's size: 2 MiB, or 16 MiB on ppc64 with the hash MMU.
func hugePageBytes(tree sysfs.Tree) int {
	text, _ := tree.Text(thpDir + "hpage_pmd_size")
	bytes, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || bytes < 2<<20 || bytes > 16<<20 {
		return 2 << 20 // another size, or a kernel without: then it is only memory
	}
	return bytes
}

// hugeRound maps memory that may be huge, tears holes into it, fills some of them,
// and keeps it for a while.
func hugeRound(ctx context.Context, rng *rand.Rand, size int, hold time.Duration) error {
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	defer func() { _ = unix.Munmap(memory) }()
	if err := unix.Madvise(memory, unix.MADV_HUGEPAGE); err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: a kernel without
		return fmt.Errorf("MADV_HUGEPAGE: %w", err)
	}
	populate(memory)
	const hole = 64 << 10 // a page of the largest kind that isn't huge
	for range 4 {
		at := rng.IntN(size/hole) * hole
		if err := unix.Madvise(memory[at:at+hole], unix.MADV_DONTNEED); err != nil {
			return fmt.Errorf("MADV_DONTNEED: %w", err)
		}
	}
	populate(memory[:size/2])
	pause(ctx, hold)
	return nil
}
