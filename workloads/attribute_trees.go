// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
)

// A storeTree is a directory whose attributes are written to.
type storeTree struct {
	dir  string   // below the tree's root; may be a pattern
	only []string // patterns of names; none: all but those of spares
}

// storeTrees are equally likely, so what is small has a turn as often as what is big.
var storeTrees = []storeTree{
	{dir: "sys/kernel/mm/*"},
	{dir: "sys/kernel/mm/transparent_hugepage"},
	{dir: "sys/devices/system/cpu"},
	{dir: "sys/devices/system/node"},
	{dir: "sys/devices/system/memory"},
	{dir: "sys/devices/system/clocksource"},
	{dir: "sys/devices/virtual/workqueue"},
	{dir: "sys/devices/virtual/memory_tiering"},
	{dir: "sys/kernel/slab"},
	{dir: "proc/sys/vm"},
	{dir: "proc/sys/kernel", only: []string{"sched_*", "numa_balancing*", "watchdog_cpumask", "timer_migration", "perf_cpu_time_max_percent"}},
	{dir: "proc/irq", only: []string{"smp_affinity", "smp_affinity_list", "default_smp_affinity"}},
	{dir: "sys/module/memory_hotplug/parameters"},
	{dir: "sys/module/workqueue/parameters"},
	{dir: "sys/kernel/debug/sched"},
	{dir: fmt.Sprintf("sys/fs/cgroup/plugstorm-stores-%d", os.Getpid())},
}

// A spare is an attribute that is never written to.
type spare struct{ name, why string }

// spares are patterns of names. What can't be read isn't written to either:
// probe, compact, drop_caches, demote, soft_offline_page, memory.reclaim, cgroup.kill.
var spares = []spare{
	{"online", "CPUs and blocks are the ops' to take on- and offline"},
	{"state", "blocks are the ops' to take on- and offline"},
	{"target", "cpu-partial's: a CPU may be left half-way"},
	{"fail", "cpu-rollback's: the next step of the CPU would fail"},
	{"dlpar", "dlpar's: what is written is removed"},
	{"failslab", "it lets this cache's allocations fail, of whoever"},
	{"uevent", "what is written is an event, and nobody listens"},
	{"wakeup", "there is no sleep to wake from"},
	{"panic_*", "the guest would be gone, not the kernel at fault"},
	{"oom_*", "says who is killed: never the agent"},
	{"overcommit_*", "the agent's threads want memory that they don't use"},
	{"*_reserve_kbytes", "as overcommit"},
	{"mmap_*", "address spaces: nothing about memory or CPUs"},
	{"max_map_count", "as mmap"},
	{"legacy_va_layout", "as mmap"},
	{"memfd_noexec", "as mmap"},
	{"dirty*", "no disk: nothing is written back"},
	{"watchdog_thresh", "would blind the detection of stalls"},
	{"latency_warn*", "has the scheduler complain of the host's slowness"},
	{"cpu_intensive_thresh_us", "has workqueues complain of the host's slowness"},
	{"crash_kexec_*", "as panic"},
	{"verbose", "fills the console at every rebuild of sched domains, which slows the guest down"},
	{"pmc[0-9]*", "bare registers of a CPU (arch/powerpc/kernel/sysfs.c)"},
	{"mmcr*", "as pmc"},
	{"purr", "as pmc"},
	{"cgroup.procs", "has whom it names moved"},
	{"cgroup.threads", "as cgroup.procs"},
	{"cgroup.subtree_control", "it has no children; what it says isn't what it takes"},
	{"cgroup.type", "what is threaded can't be made a domain again"},
}

// wants reports whether a file is written to: one that root may read and write, and
// that isn't spared.
func (t storeTree) wants(file string, mode os.FileMode) bool {
	name := filepath.Base(file)
	for _, spare := range spares {
		if matches(spare.name, name) {
			return false
		}
	}
	if mode&0o200 == 0 || mode&0o400 == 0 {
		return false
	}
	for _, pattern := range t.only {
		if matches(pattern, name) {
			return true
		}
	}
	return len(t.only) == 0
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	if err != nil {
		panic(err) // a bad pattern is a bug of ours, for the tests to find
	}
	return ok
}
