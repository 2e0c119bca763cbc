// SPDX-License-Identifier: Apache-2.0

package waitfor

import (
	"slices"
	"strings"

	"plugstorm/harness/frame"
	"plugstorm/harness/lockdep"
)

// An acquirer says in which mode a function takes a lock. Lists of held locks
// don't have the mode; what they have is the caller of the locking function.
type acquirer struct {
	lock   string // class
	at     string // as in primitive.names
	mode   Mode
	source string
}

var acquirers = []acquirer{
	{"mem_hotplug_lock", "mem_hotplug_begin", Write, "mm/memory_hotplug.c"},
	{"mem_hotplug_lock", "add_memory_resource try_remove_memory memory_subsys_online memory_subsys_offline memory_block_online memory_block_offline " +
		"pagemap_range pageunmap_range memremap_pages memunmap_pages", Write, "callers of mem_hotplug_begin, which may end in a jump to percpu_down_write"},
	{"mem_hotplug_lock", "get_online_mems kmemleak_scan ptdump_walk_pgd soft_offline_page lru_gen_change_state", Read, "callers of get_online_mems"},
	{"cpu_hotplug_lock", "cpus_write_lock _cpu_up _cpu_down acpi_processor_hotadd_init acpi_processor_remove acpi_processor_post_eject", Write, "kernel/cpu.c, drivers/acpi/acpi_processor.c"},
	{"cpu_hotplug_lock", "cpus_read_lock mem_hotplug_begin", Read, "mm/memory_hotplug.c takes it under nothing"},
	{"kn->active", "*", Read, "fs/kernfs/dir.c kernfs_get_active; kernfs_drain only waits for it"},
}

var acquirersAt = func() map[string]*table[Mode] {
	by := map[string]*table[Mode]{}
	for _, a := range acquirers {
		if by[a.lock] == nil {
			by[a.lock] = &table[Mode]{}
		}
		by[a.lock].add(a.at, a.mode)
	}
	return by
}()

// modeOf returns the mode in which a listed lock is held, or "".
func modeOf(l *lockdep.Lock) Mode {
	if t := acquirersAt[lockName(l)]; t != nil {
		mode, _ := t.find(frame.Bare(l.At))
		return mode
	}
	switch l.Mode {
	case lockdep.Read:
		return Read
	case lockdep.Write:
		return Write
	}
	return ""
}

// lent reports whether a lock is listed for a task that only works for its
// holder: lockdep_acquire_cpus_lock (kernel/cpu.c) enters cpu_hotplug_lock for
// the CPU's hotplug thread, while the task that waits for the thread has it.
func lent(class, at string) bool { return class == "cpu_hotplug_lock" && at == "cpuhp_thread_fun" }

// An implication says which locks are held wherever a function runs. It is
// asked only in a boot that lists no locks.
type implication struct {
	function string
	locks    []Object
	source   string
}

var (
	memHotplugW = Object{PercpuRWSem, "mem_hotplug_lock", Write}
	cpuHotplugR = Object{PercpuRWSem, "cpu_hotplug_lock", Read}
	cpuHotplugW = Object{PercpuRWSem, "cpu_hotplug_lock", Write}
)

var implications = []implication{
	{"offline_pages", []Object{cpuHotplugR, memHotplugW}, "drivers/base/memory.c memory_block_offline"},
	{"online_pages", []Object{cpuHotplugR, memHotplugW}, "drivers/base/memory.c memory_block_online"},
	{"arch_add_memory", []Object{cpuHotplugR, memHotplugW}, "mm/memory_hotplug.c add_memory_resource, mm/memremap.c pagemap_range"},
	{"arch_remove_memory", []Object{cpuHotplugR, memHotplugW}, "mm/memory_hotplug.c try_remove_memory, mm/memremap.c pageunmap_range"},
	{"takedown_cpu", []Object{cpuHotplugW}, "kernel/cpu.c _cpu_down"},
	{"cpuhp_kick_ap_work", []Object{cpuHotplugW}, "kernel/cpu.c _cpu_up, _cpu_down"},
}

// implied returns the locks that a task holds because of where it is.
func implied(stack []frame.Frame) []Object {
	var held []Object
	for i := len(stack) - 1; i >= 0; i-- {
		for _, imp := range implications {
			if imp.function != stack[i].Func {
				continue
			}
			for _, l := range imp.locks {
				if !slices.Contains(held, l) {
					held = append(held, l)
				}
			}
		}
	}
	return held
}

// A servant names the thread, or the function of the work item, that a
// function waits for. Without it a stack says only "a kthread", "a work item".
type servant struct {
	caller string
	kind   Kind
	name   string // of the thread, without its number, or of the function
	source string
}

var servants = []servant{
	{"kcompactd_stop", KthreadStop, "kcompactd", "mm/compaction.c"},
	{"kswapd_stop", KthreadStop, "kswapd", "mm/vmscan.c"},
	{"start_stop_khugepaged", KthreadStop, "khugepaged", "mm/khugepaged.c"},
	{"takedown_cpu", KthreadPark, "cpuhp", "kernel/cpu.c: parks the CPU's hotplug thread"},
	{"stop_machine_park", KthreadPark, "migration", "kernel/stop_machine.c"},
	{"__drain_all_pages", Work, "drain_local_pages_wq", "mm/page_alloc.c until 6.1"},
	{"__lru_add_drain_all", Work, "lru_add_drain_per_cpu", "mm/swap.c"},
	{"lru_add_drain_all", Work, "lru_add_drain_per_cpu", "mm/swap.c"},
	{"flush_all_cpus_locked", Work, "flush_cpu_slab", "mm/slub.c"},
	{"slab_mem_going_offline_callback", Work, "flush_cpu_slab", "mm/slub.c, flush_all_cpus_locked inlined"},
	{"kvfree_rcu_barrier", Work, "kfree_rcu_monitor", "mm/slab_common.c"},
	{"cpuset_wait_for_hotplug", Work, "cpuset_hotplug_workfn", "kernel/cgroup/cpuset.c of 6.1; 6.12 has none"},
}

// nearCaller is how many frames out from the wait its servant is looked for:
// the caller may have been inlined into its own.
const nearCaller = 2

// servantOf returns the name of the thread or work function that is waited for.
func servantOf(kind Kind, stack []frame.Frame, site int) string {
	for i := site; i < len(stack) && i <= site+nearCaller; i++ {
		for _, s := range servants {
			if s.kind == kind && s.caller == stack[i].Func {
				return s.name
			}
		}
	}
	return ""
}

// commStem cuts from a task's name what numbers it: "kworker/0:1" and
// "kworker/u8:2" are "kworker", "kcompactd1" is "kcompactd", "cpuhp/1" "cpuhp".
func commStem(comm string) string {
	if strings.HasPrefix(comm, "kworker/") {
		return "kworker"
	}
	return strings.TrimRight(strings.TrimRight(comm, "0123456789"), "/-:")
}
