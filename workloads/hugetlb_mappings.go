// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// HugetlbMappings maps huge pages that offlining has to migrate.
var HugetlbMappings = agent.Workloads.Register(&agent.Workload{
	Name: "hugetlb-mappings",
	Doc: "maps huge pages beyond the pool (nr_overcommit_hugepages), shared and private, writes to them, moves them to other nodes, splits the mapping and punches holes, " +
		"and keeps them for a while: reservations, surplus pages that come and go with compaction and hugetlb_lock, folios that offline_pages has to migrate or to dissolve, " +
		"hugetlb's vma locks below mmap_lock; option hold_ms (how long a round keeps its pages)",
	Options: hugetlbOptions,
	Touches: []string{
		"mm/hugetlb.c:alloc_surplus_hugetlb_folio", "mm/hugetlb.c:hugetlb_acct_memory", "mm/hugetlb.c:alloc_hugetlb_folio", "mm/hugetlb.c:alloc_hugetlb_folio_nodemask",
		"mm/hugetlb.c:hugetlb_fault", "mm/hugetlb.c:hugetlb_wp", "mm/hugetlb.c:free_huge_folio", "mm/hugetlb.c:dissolve_free_hugetlb_folio",
		"mm/hugetlb.c:isolate_hugetlb", "mm/hugetlb.c:move_hugetlb_state", "mm/hugetlb.c:return_unused_surplus_pages", "mm/hugetlb.c:hugetlb_reserve_pages",
		"mm/hugetlb.c:hugetlb_overcommit_handler", "mm/hugetlb.c:nr_overcommit_hugepages_store", "mm/hugetlb.c:nr_hugepages_mempolicy_store",
		"mm/hugetlb.c:hugetlb_change_protection", "mm/hugetlb.c", "fs/hugetlbfs/inode.c", "mm/mempolicy.c:queue_folios_hugetlb",
		"mm/migrate.c:migrate_pages", "mm/migrate.c", "mm/hugetlb_vmemmap.c",
	},
	Run: hugetlbMappings{tree: guest}.run,
})

var hugetlbOptions = map[string]int64{"hold_ms": 40}

type hugetlbMappings struct{ tree sysfs.Tree }

// hugetlbKnobs let the kernel make huge pages when they are wanted, and a pool that is
// spread as the writer's policy says.
var hugetlbKnobs = []knob{
	{"sys/kernel/mm/hugepages/hugepages-*/nr_overcommit_hugepages", []string{"2", "4", "4", "8"}},
	{"sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages_mempolicy", []string{"0", "1"}},
	{"sys/kernel/mm/hugepages/hugepages-16384kB/nr_hugepages_mempolicy", []string{"0", "1"}},
	{"proc/sys/vm/nr_overcommit_hugepages", []string{"2", "4"}},
}

func (h hugetlbMappings) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	if len(glob(h.tree.Path("sys/kernel/mm/hugepages/*"))) == 0 {
		<-ctx.Done() // the kernel, or the machine, has none: pseries' hypervisor may not
		return nil
	}
	size, err := h.pageBytes()
	if err != nil {
		return err
	}
	turned := knobs{tree: h.tree, list: hugetlbKnobs}
	hold := time.Duration(p.Option("hold_ms", hugetlbOptions["hold_ms"])) * time.Millisecond
	before := turned.save()
	defer turned.restore(before)
	for _, path := range turned.matches(hugetlbKnobs[0]) { // or the first rounds get no page
		_ = sysfs.Write(ctx, path, "4") // what it refuses now is tried again in rounds
	}
	l := loop{params: p, meter: m, threads: 1, refuses: append([]unix.Errno{unix.EFAULT, unix.ENOSYS}, knobRefusals...)}
	return l.run(ctx, same(func(ctx context.Context, rng *rand.Rand) error {
		if rng.IntN(4) == 0 {
			return turned.turn(ctx, rng)
		}
		return h.round(ctx, rng, size, hold)
	}))
}

// pageBytes is the size of the default huge page.
func (h hugetlbMappings) pageBytes() (int, error) {
	text, err := h.tree.Text("proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		var kib int
		if n, _ := fmt.Sscanf(line, "Hugepagesize: %d kB", &kib); n == 1 && kib > 0 && kib <= 16<<10 {
			return kib << 10, nil
		}
	}
	return 2 << 20, nil // a kernel without, or whose pages are too large for these guests: mmap says so
}

// hugetlbPages is how many pages a round maps.
const hugetlbPages = 2

// round maps pages, makes them exist and does something to them. What isn't there
// isn't touched: a fault without a page to give ends the process, and
// MADV_POPULATE_WRITE only says so.
func (h hugetlbMappings) round(ctx context.Context, rng *rand.Rand, size int, hold time.Duration) error {
	share := []int{unix.MAP_PRIVATE, unix.MAP_SHARED}[rng.IntN(2)]
	pages, err := unix.Mmap(-1, 0, hugetlbPages*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_HUGETLB|share)
	if err != nil {
		return fmt.Errorf("mmap of huge pages: %w", err)
	}
	defer func() { _ = unix.Munmap(pages) }()
	if err := unix.Madvise(pages, unix.MADV_POPULATE_WRITE); err != nil {
		return fmt.Errorf("MADV_POPULATE_WRITE of huge pages: %w", err)
	}
	err = h.change(rng, pages, size)
	pause(ctx, hold)
	return err
}

// change does one of what is done to mappings, to the first page or to all.
func (h hugetlbMappings) change(rng *rand.Rand, pages []byte, size int) error {
	switch rng.IntN(5) {
	case 0:
		node, err := pickNode(h.tree, "has_memory", rng)
		if err != nil {
			return err
		}
		return prefer(pages, node)
	case 1:
		return os.NewSyscallError("MADV_DONTNEED", unix.Madvise(pages[:size], unix.MADV_DONTNEED))
	case 2:
		return os.NewSyscallError("mprotect", unix.Mprotect(pages[:size], unix.PROT_READ))
	case 3:
		return os.NewSyscallError("MADV_REMOVE", unix.Madvise(pages[size:], unix.MADV_REMOVE)) // EINVAL of private ones
	}
	return nil // only kept
}
