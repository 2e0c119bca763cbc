// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// KernelTables reads what the kernel prints of itself.
var KernelTables = agent.Workloads.Register(&agent.Workload{
	Name: "kernel-tables",
	Doc: "reads the files that are no device's attributes, whole and one after the other: /proc and its sysctls, its own process's numa_maps and smaps, debugfs (slab " +
		"caches, sched domains, fragmentation), cgroups of whoever has made some: walks over CPUs, nodes, zones, slab caches, interrupts and workqueues that come and go, " +
		"under the locks that each walk takes",
	Touches: []string{
		"mm/vmstat.c:vmstat_show", "mm/vmstat.c:extfrag_show", "mm/vmstat.c:unusable_show", "mm/vmstat.c:zoneinfo_show", "mm/vmstat.c:frag_show",
		"mm/slab_common.c:slab_show", "mm/slub.c:slab_debugfs_show", "mm/slub.c:slab_debug_trace_open", "mm/vmalloc.c:vmalloc_info_show",
		"mm/memcontrol.c:memory_stat_show", "mm/memcontrol.c:memory_numa_stat_show", "mm/memcontrol.c:memory_events_show", "mm/vmscan.c:lru_gen_seq_show",
		"mm/mempolicy.c:mpol_to_str", "mm/hugetlb.c:hugetlb_report_meminfo", "mm/backing-dev.c:bdi_debug_stats_show",
		"kernel/cgroup/cgroup.c:cgroup_procs_show", "kernel/cgroup/cgroup.c:cgroup_stat_show", "kernel/cgroup/cpuset.c:cpuset_common_seq_show",
		"kernel/cgroup/cpuset.c:proc_cpuset_show", "kernel/cgroup/rstat.c:cgroup_rstat_flush_locked", "kernel/cgroup/rstat.c:cgroup_base_stat_cputime_show",
		"kernel/irq/proc.c:show_interrupts", "kernel/resource.c:r_show", "kernel/sched/debug.c:sched_debug_show", "kernel/sched/stats.c:show_schedstat",
		"kernel/sched/debug.c:sd_flags_show", "kernel/time/timer_list.c", "kernel/softirq.c", "fs/proc/stat.c:show_stat", "fs/proc/task_mmu.c:show_numa_map",
		"fs/proc/task_mmu.c", "fs/proc/interrupts.c", "fs/proc/meminfo.c", "fs/proc/", "arch/x86/kernel/cpu/proc.c", "arch/x86/kernel/cpu/debugfs.c",
		"arch/powerpc/platforms/pseries/lparcfg.c", "arch/powerpc/kernel/rtas-proc.c",
	},
	Run: kernelTables{tree: guest}.run,
})

type kernelTables struct{ tree sysfs.Tree }

// tablePatterns are equally likely, so what is rare has a turn as often as what there
// is much of.
var tablePatterns = []string{
	"proc/*", "proc/self/*", "proc/sys/vm/*", "proc/sys/kernel/*", "proc/irq/*/*", "proc/net/*", "proc/powerpc/*", "proc/powerpc/rtas/*",
	"sys/kernel/debug/*", "sys/kernel/debug/[a-z]*/*", "sys/kernel/debug/slab/*/*", "sys/kernel/debug/extfrag/*", "sys/kernel/debug/sched/*/*/*/*",
	"sys/kernel/debug/bdi/*/*", "sys/kernel/debug/x86/topo/*/*", "sys/fs/cgroup/*", "sys/fs/cgroup/*/*",
}

// unreadTables are patterns of names that are never read, each with the reason.
var unreadTables = []spare{
	{"kmsg", "a reader waits for the kernel's next word, and takes it from others"},
	{"kpage*", "memory-readers': what goes while it is read kills its reader (docs/known-issues.md)"},
	{"lockdep*", "long, and about nothing that is plugged"},
	{"kallsyms", "as lockdep"},
	{"kernel_page_tables", "page-tables'"},
	{"kernel_hash_pagetable", "asks the hypervisor for one entry after the other (arch/powerpc/mm/ptdump/hashpagetable.c): minutes"},
	{"kmemleak", "far-users': its walk takes seconds"},
	{"trace*", "would mount tracefs, and its pipes are waited for"},
	{"mem", "this process's own memory, from address 0 on"},
	{"pagemap", "as mem"},
	{"error_log", "RTAS' log is waited for"},
	{"rtas_errd", "as error_log"},
	{"progress", "the firmware's display"},
	{"cgroup.pressure", "what can be polled only"},
}

// tableMax bounds what is read of a file: enough for all of its lines in these
// guests, mostly. A table that is cut was walked in part.
const tableMax = 128 << 10

func (k kernelTables) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	l := loop{params: p, meter: m, threads: 1, refuses: append([]unix.Errno{unix.EFAULT, unix.EISDIR}, storeRefusals...)}
	return l.run(ctx, func(int) (round, error) {
		buffer := make([]byte, tableMax)
		return func(ctx context.Context, rng *rand.Rand) error { return k.round(ctx, rng, buffer) }, nil
	})
}

// tablesAtOnce is how many files of one pattern are read in a round: to list them costs
// as much as to read one.
const tablesAtOnce = 8

// round reads some files of a pattern of which there are any.
func (k kernelTables) round(ctx context.Context, rng *rand.Rand, buffer []byte) error {
	for _, i := range rng.Perm(len(tablePatterns)) {
		files := k.tables(tablePatterns[i])
		if len(files) == 0 {
			continue // no kernel has files of all
		}
		var err error
		for range min(tablesAtOnce, len(files)) {
			if ctx.Err() == nil {
				err = errors.Join(err, readTable(files[rng.IntN(len(files))], buffer))
			}
		}
		return err
	}
	return errIdle
}

// tables lists the files of a pattern that may be read now.
func (k kernelTables) tables(pattern string) []string {
	return slices.DeleteFunc(glob(k.tree.Path(pattern)), func(path string) bool {
		name, dir := filepath.Base(path), filepath.Base(filepath.Dir(path))
		for _, s := range unreadTables {
			if matches(s.name, name) || matches(s.name, dir) {
				return true
			}
		}
		info, err := os.Stat(path)
		return err != nil || !info.Mode().IsRegular() || info.Mode()&0o444 == 0
	})
}

// readTable reads a file to its end, or as far as the buffer goes. It waits for
// nobody who would write into it.
func readTable(path string, buffer []byte) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(fd)
	for at := 0; at < len(buffer); {
		n, err := unix.Read(fd, buffer[at:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if n == 0 {
			return nil
		}
		at += n
	}
	return nil
}
