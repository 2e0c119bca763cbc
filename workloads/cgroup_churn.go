// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

const defaultMembers = 4

// CgroupChurn moves a process through short-lived cgroups.
var CgroupChurn = agent.Workloads.Register(&agent.Workload{
	Name: "cgroup-churn",
	Doc: "makes a cgroup with the memory and cpuset controllers, gives it random CPUs and nodes, moves a whole multi-threaded process in, " +
		"changes its nodes, moves it back, and removes the cgroup: cgroup_mutex, cgroup_threadgroup_rwsem, cpuset_mutex, cpu_hotplug_lock, " +
		"percpu memory of memory cgroups; Threads is the number of that process's threads that allocate meanwhile (default 4)",
	Touches: []string{
		"kernel/cgroup/cgroup.c:cgroup_attach_lock", "kernel/cgroup/cgroup.c:cgroup_attach_task", "kernel/cgroup/cgroup.c:cgroup_mkdir",
		"kernel/cgroup/cgroup.c:cgroup_rmdir", "kernel/cgroup/cpuset.c:cpuset_attach", "kernel/cgroup/cpuset.c:cpuset_write_resmask", "kernel/cgroup/",
		"mm/memcontrol.c:mem_cgroup_css_alloc", "mm/mempolicy.c:do_migrate_pages", "mm/migrate.c", "kernel/fork.c",
	},
	Run: func(ctx context.Context, p agent.Params, m agent.Meter) error {
		c := cgroupChurn{tree: guest}
		return c.run(ctx, p, m)
	},
})

// A cgroupChurn moves the process it runs in.
type cgroupChurn struct {
	tree    sysfs.Tree
	roots   []string // one for version 2, one a controller for version 1
	prefix  string
	counter int
}

func (c *cgroupChurn) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	if err := c.find(); err != nil {
		return err
	}
	members := defaultMembers
	if p.Threads > 0 {
		members = p.Threads
	}
	group, ctx := errgroup.WithContext(ctx)
	for range members {
		group.Go(func() error { return allocate(ctx) })
	}
	p.Threads = 1 // one mover: the process can only be in one place
	l := loop{params: p, meter: m, threads: 1, refuses: []unix.Errno{
		unix.EBUSY, unix.ENOSPC, unix.EINVAL, unix.ENOMEM, unix.EAGAIN, unix.EINTR, unix.ENODEV, unix.ENOENT, unix.EACCES}}
	group.Go(func() error { return l.run(ctx, same(c.round)) })
	return group.Wait()
}

// find locates the hierarchies and removes what a killed predecessor left.
func (c *cgroupChurn) find() error {
	c.prefix = fmt.Sprintf("plugstorm-%d", os.Getpid())
	base := c.tree.Path("sys/fs/cgroup")
	if _, err := os.Stat(filepath.Join(base, "cgroup.controllers")); err == nil {
		c.roots = []string{base}
	} else {
		for _, controller := range []string{"cpuset", "memory"} {
			if _, err := os.Stat(filepath.Join(base, controller, "cgroup.procs")); err == nil {
				c.roots = append(c.roots, filepath.Join(base, controller))
			}
		}
	}
	if len(c.roots) == 0 {
		return errors.New("no cgroup hierarchy is mounted")
	}
	for _, root := range c.roots {
		stale, err := filepath.Glob(filepath.Join(root, "plugstorm-[0-9]*")) // others have a word there
		if err != nil {
			return err
		}
		for _, dir := range stale { // EBUSY if somebody still lives there
			_ = unix.Rmdir(filepath.Join(dir, "in"))
			_ = unix.Rmdir(dir)
		}
	}
	return nil
}

func (c *cgroupChurn) round(ctx context.Context, rng *rand.Rand) (err error) {
	c.counter++
	name := fmt.Sprintf("%s-%d", c.prefix, c.counter)
	for _, root := range c.roots {
		outer := filepath.Join(root, name)
		defer func() { err = errors.Join(err, c.leave(root, outer)) }()
		if err := c.enter(ctx, outer, rng); err != nil {
			return err
		}
	}
	return nil
}

// enter makes outer and outer/in, and moves the process into the latter.
func (c *cgroupChurn) enter(ctx context.Context, outer string, rng *rand.Rand) error {
	in := filepath.Join(outer, "in")
	if err := unix.Mkdir(outer, 0o755); err != nil {
		return &fs.PathError{Op: "mkdir", Path: outer, Err: err}
	}
	for _, controller := range []string{"+memory", "+cpuset"} {
		err := setIfThere(ctx, filepath.Join(outer, "cgroup.subtree_control"), controller)
		if err != nil && !errors.Is(err, unix.EINVAL) { // the kernel lacks this controller
			return err
		}
	}
	cpus, err := c.someOf("sys/devices/system/cpu/online", rng)
	if err != nil {
		return err
	}
	if err := c.confine(ctx, outer, cpus); err != nil {
		return err
	}
	if err := unix.Mkdir(in, 0o755); err != nil {
		return &fs.PathError{Op: "mkdir", Path: in, Err: err}
	}
	if err := c.confine(ctx, in, cpus); err != nil {
		return err
	}
	if err := sysfs.Write(ctx, filepath.Join(in, "cgroup.procs"), strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	nodes, err := c.someOf("sys/devices/system/node/has_memory", rng)
	if err != nil {
		return err
	}
	// Never without the boot memory: a node that goes offline has none to give,
	// and the OOM killer would look for somebody.
	return setIfThere(ctx, filepath.Join(in, "cpuset.mems"), "0,"+nodes) // migrates what the process has
}

// confine sets a cgroup's CPUs, and all nodes: version 1 lets nobody into a
// cpuset that lacks either.
func (c *cgroupChurn) confine(ctx context.Context, dir, cpus string) error {
	nodes, err := c.tree.Text("sys/devices/system/node/has_memory")
	if errors.Is(err, unix.ENOENT) {
		nodes, err = "0", nil // a kernel without CONFIG_NUMA
	}
	if err != nil {
		return err
	}
	return errors.Join(
		setIfThere(ctx, filepath.Join(dir, "cpuset.cpus"), cpus),
		setIfThere(ctx, filepath.Join(dir, "cpuset.mems"), nodes))
}

// leave moves the process back to the root and removes the cgroups. It works
// after ctx has ended, too.
func (c *cgroupChurn) leave(root, outer string) error {
	err := sysfs.Write(context.Background(), filepath.Join(root, "cgroup.procs"), strconv.Itoa(os.Getpid()))
	for _, dir := range []string{filepath.Join(outer, "in"), outer} {
		if e := unix.Rmdir(dir); e != nil && !errors.Is(e, unix.ENOENT) {
			err = errors.Join(err, &fs.PathError{Op: "rmdir", Path: dir, Err: e})
		}
	}
	return err
}

// someOf draws a non-empty part of a list the kernel prints.
func (c *cgroupChurn) someOf(list string, rng *rand.Rand) (string, error) {
	text, err := c.tree.Text(list)
	if errors.Is(err, unix.ENOENT) {
		return "0", nil
	}
	if err != nil {
		return "", err
	}
	all, err := sysfs.ParseList(text)
	if err != nil || len(all) == 0 {
		return "0", err
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var words []string
	for _, n := range all[:1+rng.IntN(len(all))] {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, ","), nil
}

// setIfThere writes an attribute that not every kernel or hierarchy has.
func setIfThere(ctx context.Context, path, value string) error {
	err := sysfs.Write(ctx, path, value)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// memberRest is how long a thread of allocate rests between two allocations.
const memberRest = 10 * time.Millisecond

// allocate is one thread of the process that moves: it takes, touches and
// gives back memory until ctx ends.
func allocate(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const size = 128 << 10
	for ctx.Err() == nil {
		b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
		if err == nil {
			touch(b)
			err = unix.Munmap(b)
		}
		if err != nil && !errors.Is(err, unix.ENOMEM) {
			return fmt.Errorf("allocate in the cgroup: %w", err)
		}
		pause(ctx, memberRest)
	}
	return nil
}
