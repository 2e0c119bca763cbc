// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

var reclaimOptions = map[string]int64{"drop": 1, "compact": 1}

// Reclaim makes the kernel drop caches and compact memory.
var Reclaim = agent.Workloads.Register(&agent.Workload{
	Name: "reclaim",
	Doc: "writes 1, 2 or 3 to drop_caches and 1 to compact_memory: the shrinkers, lru_add_drain_all, compaction's walk over " +
		"struct pages of memory that is going away; options drop and compact (0 leaves one out)",
	Touches: []string{
		"fs/drop_caches.c", "mm/vmscan.c:drop_slab", "mm/shrinker.c", "mm/compaction.c:compact_node", "mm/compaction.c:sysctl_compaction_handler",
		"mm/swap.c:lru_add_drain_all", "fs/dcache.c", "fs/inode.c",
	},
	Options: reclaimOptions,
	Run:     reclaim{tree: guest}.run,
})

type reclaim struct{ tree sysfs.Tree }

func (c reclaim) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	drop, compact := c.tree.Path("proc/sys/vm/drop_caches"), c.tree.Path("proc/sys/vm/compact_memory")
	var writes [][2]string
	if p.Option("drop", reclaimOptions["drop"]) != 0 {
		// 4 keeps the kernel from logging each of the next writes (fs/drop_caches.c).
		if err := sysfs.Write(ctx, drop, "4"); err != nil && ctx.Err() == nil {
			return err
		}
		writes = append(writes, [][2]string{{drop, "1"}, {drop, "2"}, {drop, "3"}}...)
	}
	if p.Option("compact", reclaimOptions["compact"]) != 0 && unix.Access(compact, unix.W_OK) == nil { // CONFIG_COMPACTION
		writes = append(writes, [2]string{compact, "1"}, [2]string{compact, "1"})
	}
	if len(writes) == 0 {
		return errors.New("nothing to do: drop_caches is switched off, and so is compact_memory, or the kernel lacks it")
	}
	l := loop{params: p, meter: m, threads: 1, refuses: []unix.Errno{unix.EINTR}}
	return l.run(ctx, same(func(ctx context.Context, rng *rand.Rand) error {
		w := writes[rng.IntN(len(writes))]
		return sysfs.Write(ctx, w[0], w[1])
	}))
}
