// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

var attributeStoresOptions = map[string]int64{
	"toggle": 1, // 0: nothing gets another value than it has
}

// AttributeStores has every store of what knows CPUs and memory run.
var AttributeStores = agent.Workloads.Register(&agent.Workload{
	Name: "attribute-stores",
	Doc: "writes to attributes that nobody has picked, anywhere below the directories of the memory management, CPUs, nodes, slab caches, workqueues, the clocksource, " +
		"the scheduler, interrupts, sysctls and an empty cgroup of its own: to one after the other what was read from it, or, if it is of a kind that has others, another value, " +
		"and then its own again; option toggle (0: never another value)",
	Touches: []string{
		"mm/huge_memory.c:enabled_store", "mm/huge_memory.c:defrag_store", "mm/huge_memory.c:anon_enabled_store", "mm/khugepaged.c:start_stop_khugepaged",
		"mm/khugepaged.c:scan_sleep_millisecs_store", "mm/shmem.c:shmem_enabled_store", "mm/hugetlb.c:nr_hugepages_store", "mm/hugetlb.c:nr_overcommit_hugepages_store",
		"mm/ksm.c:run_store", "mm/ksm.c:advisor_mode_store", "mm/vmscan.c:enabled_store", "mm/vmstat.c:sysctl_vm_numa_stat_handler", "mm/vmstat.c:vmstat_refresh",
		"mm/mempolicy.c:node_store", "mm/memory-tiers.c:demotion_enabled_store", "mm/slub.c:slab_attr_store", "mm/slub.c:cpu_partial_store",
		"mm/slub.c:min_partial_store", "mm/slub.c:shrink_store", "mm/page_alloc.c:numa_zonelist_order_handler", "mm/page_alloc.c:lowmem_reserve_ratio_sysctl_handler",
		"mm/page_alloc.c:sysctl_min_slab_ratio_sysctl_handler", "mm/page_alloc.c:min_free_kbytes_sysctl_handler",
		"mm/compaction.c:compaction_proactiveness_sysctl_handler", "mm/memory_hotplug.c:set_online_policy", "mm/memcontrol.c:memory_max_write",
		"mm/memcontrol.c:memory_high_write", "kernel/workqueue.c:wq_nice_store", "kernel/workqueue.c:wq_cpumask_store", "kernel/workqueue.c:max_active_store",
		"kernel/workqueue.c:wq_affn_dfl_set", "kernel/sched/debug.c:sched_feat_write", "kernel/sched/debug.c:sched_scaling_write",
		"kernel/sched/debug.c:sched_fair_server_write", "kernel/sched/rt.c:sched_rt_handler", "kernel/watchdog.c:proc_watchdog_cpumask",
		"kernel/irq/proc.c:write_irq_affinity", "kernel/irq/manage.c:irq_set_affinity_locked", "kernel/time/clocksource.c:current_clocksource_store",
		"kernel/cgroup/cpuset.c:cpuset_write_resmask", "kernel/cgroup/cpuset.c:sched_partition_write", "kernel/cgroup/cgroup.c:cgroup_freeze_write",
		"kernel/cgroup/pids.c:pids_max_write", "drivers/base/memory.c:auto_online_blocks_store", "drivers/base/power/sysfs.c:control_store",
		"drivers/cpuidle/sysfs.c:store_current_governor", "fs/kernfs/", "fs/proc/proc_sysctl.c",
	},
	Options: attributeStoresOptions,
	Run:     attributeStores{tree: guest}.run,
})

type attributeStores struct{ tree sysfs.Tree }

const (
	// storeMax bounds what is read of a file and written back: one page, as much as an attribute has.
	storeMax = 4 << 10
	// toggledFor is how long a value stays another one, at most.
	toggledFor = 20 * time.Millisecond
	// putBackTries is how often a value is put back that the kernel refuses: it may
	// lack memory just now, since somebody lets allocations fail.
	putBackTries = 10
)

// errNotSupported is the kernel's ENOTSUPP (include/linux/errno.h), which user space
// isn't meant to see and does.
const errNotSupported = unix.Errno(524)

// storeRefusals are what stores answer. It is nearly everything: nobody knows
// the stores before they are called.
var storeRefusals = append([]unix.Errno{
	unix.ERANGE, unix.E2BIG, unix.EFBIG, unix.EXDEV, unix.EEXIST, unix.ESRCH, unix.ETIMEDOUT, unix.ENOTEMPTY, unix.EDOM, unix.ESPIPE, unix.EADDRINUSE, errNotSupported,
}, attributeRefusals...)

func (a attributeStores) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	leave, err := a.makeCgroup()
	if err != nil {
		return err
	}
	defer leave()
	toggle := p.Option("toggle", attributeStoresOptions["toggle"]) != 0
	l := loop{params: p, meter: m, threads: 1, refuses: storeRefusals}
	return l.run(ctx, same(func(ctx context.Context, rng *rand.Rand) error { return a.round(ctx, rng, toggle) }))
}

// makeCgroup makes a cgroup with nobody in it, whose attributes are the last of
// storeTrees, and returns what removes it. Without cgroups (of version 2) there is none.
func (a attributeStores) makeCgroup() (leave func(), err error) {
	if _, err := os.Stat(a.tree.Path("sys/fs/cgroup/cgroup.controllers")); err != nil {
		return func() {}, nil
	}
	dir := a.tree.Path(fmt.Sprintf("sys/fs/cgroup/plugstorm-stores-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	return func() { _ = unix.Rmdir(dir) }, nil // it is empty
}

// round picks one attribute and writes to it.
func (a attributeStores) round(ctx context.Context, rng *rand.Rand, toggle bool) error {
	path, err := a.pick(rng)
	if err != nil {
		return err
	}
	return a.store(ctx, rng, path, toggle)
}

// pick draws an attribute of one of the trees that this kernel has.
func (a attributeStores) pick(rng *rand.Rand) (string, error) {
	for _, i := range rng.Perm(len(storeTrees)) {
		dirs := glob(a.tree.Path(storeTrees[i].dir))
		if len(dirs) == 0 {
			continue
		}
		path, err := randomFile(rng, dirs[rng.IntN(len(dirs))], storeTrees[i].wants)
		if !errors.Is(err, errIdle) {
			return path, err
		}
	}
	return "", errIdle
}

// store gives the attribute another value for a moment, or the one that it has.
// Whoever else of us toggles the same file now is let alone: the other's value
// would be taken for the file's own.
func (a attributeStores) store(ctx context.Context, rng *rand.Rand, path string, toggle bool) error {
	release, err := hold(path)
	if err != nil {
		return err
	}
	defer release()
	was, err := readStore(path)
	if err != nil {
		return err
	}
	changes := valueChanges(path, was)
	if toggle && len(changes) > 0 && (was == "" || rng.IntN(2) == 0) {
		return changes[rng.IntN(len(changes))].make(ctx, rng, path)
	}
	if was == "" {
		return errIdle
	}
	return sysfs.Write(ctx, path, chosen(was))
}

// hold claims a file among all processes of the guest, for as long as this one
// lives at most: EADDRINUSE if somebody has it. It is a name of a socket that
// nobody connects to, since kernels may lack locks of files (CONFIG_FILE_LOCKING).
func hold(path string) (release func(), err error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	name := fnv.New64a()
	name.Write([]byte(path))
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@plugstorm-%x", name.Sum(nil))}); err != nil {
		unix.Close(fd)
		return nil, &os.PathError{Op: "hold", Path: path, Err: err}
	}
	return func() { unix.Close(fd) }, nil
}

// readStore reads the beginning of a file.
func readStore(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	buffer := make([]byte, storeMax)
	n, err := f.Read(buffer)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return string(buffer[:n]), nil
}

// make writes a value, waits a little and puts the old one back, also when ctx
// has ended.
func (c change) make(ctx context.Context, rng *rand.Rand, path string) (err error) {
	defer func() { err = errors.Join(err, c.putBack(path)) }()
	if err := sysfs.Write(ctx, path, c.to); err != nil {
		return err
	}
	pause(ctx, time.Duration(rng.Int64N(int64(toggledFor))))
	return nil
}

func (c change) putBack(path string) error {
	if c.back == "" {
		return nil // it has only acted
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleLimit)
	defer cancel()
	var err error
	for range putBackTries {
		err = sysfs.Write(ctx, path, c.back)
		if !passing(err) {
			return err
		}
		pause(ctx, idlePause)
	}
	return err
}

// passing reports whether the kernel may answer otherwise in a moment.
func passing(err error) bool {
	return isOneOf(err, []unix.Errno{unix.ENOMEM, unix.EBUSY, unix.EAGAIN, unix.EINTR})
}
