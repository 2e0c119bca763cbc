// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

var slabSysfsOptions = map[string]int64{
	"ours":  0, // 1: only caches of slab-storm, which come and go
	"write": 1, // 0: readers only
}

// SlabSysfs reads and writes the attributes of slab caches.
var SlabSysfs = agent.Workloads.Register(&agent.Workload{
	Name: "slab-sysfs",
	Doc: "reads objects, total_objects and slabs of random caches in /sys/kernel/slab and writes shrink and " +
		"cpu_partial: kn->active of attributes of caches that are being destroyed, cpu_hotplug_lock, flush_lock, slab nodes' list_lock; " +
		"options ours (1 for slab-storm's caches only), write (0 for readers only)",
	Touches: []string{
		"mm/slub.c:show_slab_objects", "mm/slub.c:shrink_store", "mm/slub.c:validate_store", "mm/slub.c:cpu_partial_store", "mm/slub.c:slab_attr_show",
		"mm/slub.c:slab_attr_store", "mm/slab_common.c:kmem_cache_shrink", "fs/kernfs/",
	},
	Options: slabSysfsOptions,
	Run:     slabSysfs{tree: guest}.run,
})

type slabSysfs struct{ tree sysfs.Tree }

const slabDir = "sys/kernel/slab"

var slabReads = []string{"objects", "total_objects", "slabs", "objects_partial", "cpu_slabs", "aliases"}

// listFor is how many rounds a list of caches serves. Caches vanish meanwhile,
// which is the point.
const listFor = 32

func (s slabSysfs) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	ours := p.Option("ours", slabSysfsOptions["ours"]) != 0
	write := p.Option("write", slabSysfsOptions["write"]) != 0
	l := loop{params: p, meter: m, threads: 4, refuses: []unix.Errno{
		unix.ENOENT, unix.ENODEV, unix.EINVAL, unix.ENOMEM, unix.EIO, unix.EINTR, unix.ENOSYS, unix.EACCES}}
	return l.run(ctx, func(int) (round, error) {
		var caches []string
		left := 0
		return func(ctx context.Context, rng *rand.Rand) error {
			if left == 0 || len(caches) == 0 {
				var err error
				if caches, err = s.caches(ours); err != nil {
					return err
				}
				left = listFor
			}
			left--
			cache, err := pick(rng, caches)
			if err != nil {
				return err
			}
			return s.touch(ctx, cache, write, rng)
		}, nil
	})
}

func (s slabSysfs) caches(ours bool) ([]string, error) {
	entries, err := os.ReadDir(s.tree.Path(slabDir))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if !ours || strings.HasPrefix(entry.Name(), "plugstorm_") {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// touch reads three times as often as it writes. cpu_partial is written with
// the value it has: that already flushes every CPU.
func (s slabSysfs) touch(ctx context.Context, cache string, write bool, rng *rand.Rand) error {
	n := rng.IntN(8)
	if !write || n >= 2 {
		_, err := s.tree.Text(slabDir, cache, slabReads[rng.IntN(len(slabReads))])
		return err
	}
	if n == 0 {
		return sysfs.Write(ctx, s.tree.Path(slabDir, cache, "shrink"), "1")
	}
	value, err := s.tree.Text(slabDir, cache, "cpu_partial")
	if err != nil {
		return err
	}
	return sysfs.Write(ctx, s.tree.Path(slabDir, cache, "cpu_partial"), value)
}
