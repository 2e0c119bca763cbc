// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// SlabShrink has slab caches give their empty slabs back.
var SlabShrink = agent.Workloads.Register(&agent.Workload{
	Name: "slab-shrink",
	Doc: "writes shrink of the caches kmem_cache_node and kmem_cache, and of a random one, in /sys/kernel/slab: kn->active, cpu_hotplug_lock, flush_lock and " +
		"a flush of every CPU. Empty slabs on a CPU's partial list keep a node from being emptied: offline_pages() isolates before it shrinks",
	Touches: []string{"mm/slub.c:shrink_store", "mm/slub.c:__kmem_cache_shrink", "mm/slub.c:flush_all_cpus_locked", "mm/slab_common.c:kmem_cache_shrink"},
	Run:     slabShrink{tree: guest}.run,
})

type slabShrink struct{ tree sysfs.Tree }

// nodeCaches hold what the slab allocator itself has on a node: the structures
// of other caches.
var nodeCaches = []string{"kmem_cache_node", "kmem_cache"}

func (s slabShrink) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	l := loop{params: p, meter: m, threads: 1, refuses: []unix.Errno{unix.ENOENT, unix.ENODEV, unix.EINTR}}
	return l.run(ctx, same(func(ctx context.Context, rng *rand.Rand) error {
		entries, err := os.ReadDir(s.tree.Path(slabDir))
		if err != nil {
			return err
		}
		other, err := pick(rng, entries)
		if err != nil {
			return err
		}
		var all error
		for _, cache := range append(nodeCaches, other.Name()) {
			all = errors.Join(all, sysfs.Write(ctx, s.tree.Path(slabDir, cache, "shrink"), "1"))
		}
		return all
	}))
}
