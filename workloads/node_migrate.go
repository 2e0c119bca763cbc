// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

var migrateOptions = map[string]int64{"mib": 8}

// NodeMigrate moves a process's memory between nodes.
var NodeMigrate = agent.Workloads.Register(&agent.Workload{
	Name: "node-migrate",
	Doc: "moves its pages from node to node (mbind with MPOL_MF_MOVE) while nodes come and go: lru_add_drain_all, mmap_lock, page migration " +
		"against offline_pages' own; option mib (what each thread moves)",
	Touches: []string{"mm/mempolicy.c", "mm/migrate.c:migrate_pages", "mm/swap.c:lru_add_drain_all", "mm/rmap.c"},
	Options: migrateOptions,
	Run:     nodeMigrate{tree: guest}.run,
})

type nodeMigrate struct{ tree sysfs.Tree }

func (n nodeMigrate) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	size := int(max(p.Option("mib", migrateOptions["mib"]), 1)) << 20
	l := loop{params: p, meter: m, threads: 1, refuses: []unix.Errno{unix.EIO, unix.EINVAL, unix.ENOMEM, unix.EBUSY, unix.ENOSYS}}
	return l.run(ctx, func(int) (round, error) {
		pages, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
		if err != nil {
			return nil, fmt.Errorf("mmap: %w", err)
		}
		return func(_ context.Context, rng *rand.Rand) error {
			node, err := pickNode(n.tree, "has_memory", rng)
			if errors.Is(err, unix.ENOENT) {
				return errIdle // no NUMA
			}
			if err != nil {
				return err
			}
			touch(pages)
			return prefer(pages, node)
		}, nil
	})
}

// From include/uapi/linux/mempolicy.h.
const (
	mpolPreferred = 1
	mpolMove      = 1 << 1 // MPOL_MF_MOVE
)

// prefer moves pages to a node as far as it has room: a preference, so that
// nobody is killed when the node goes away.
func prefer(pages []byte, node int) error {
	const bits = 64
	if node >= bits {
		return errIdle
	}
	mask := uint64(1) << node
	_, _, errno := unix.Syscall6(unix.SYS_MBIND, uintptr(unsafe.Pointer(&pages[0])), uintptr(len(pages)),
		mpolPreferred, uintptr(unsafe.Pointer(&mask)), bits+1, mpolMove)
	runtime.KeepAlive(&mask)
	if errno != 0 {
		return fmt.Errorf("mbind: %w", errno)
	}
	return nil
}
