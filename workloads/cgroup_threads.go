// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// CgroupThreads moves single threads between cgroups whose controllers come and go.
var CgroupThreads = agent.Workloads.Register(&agent.Workload{
	Name: "cgroup-threads",
	Doc: "moves each of its threads, alone, between threaded cgroups, while their controllers are switched on and off under them and their CPUs, nodes and weights change: " +
		"cgroup_threadgroup_rwsem held by one thread's move and by the migration of all that a controller needs (cgroup_update_dfl_csses), cpusets and task groups that are " +
		"made, attached to and killed with tasks inside; Threads counts those that move and the one that switches (default 4)",
	Touches: []string{
		"kernel/cgroup/cgroup.c:cgroup_threads_write", "kernel/cgroup/cgroup.c:cgroup_type_write", "kernel/cgroup/cgroup.c:cgroup_subtree_control_write",
		"kernel/cgroup/cgroup.c:cgroup_update_dfl_csses", "kernel/cgroup/cgroup.c:cgroup_propagate_control", "kernel/cgroup/cgroup.c:cgroup_apply_control_enable",
		"kernel/cgroup/cgroup.c:cgroup_apply_control_disable", "kernel/cgroup/cgroup.c:cgroup_lock_and_drain_offline", "kernel/cgroup/cgroup.c:cgroup_migrate_execute",
		"kernel/cgroup/cgroup.c:kill_css", "kernel/cgroup/cgroup.c:css_killed_work_fn", "kernel/cgroup/cgroup.c:cgroup_attach_lock", "kernel/cgroup/cgroup.c:cgroup_procs_write_start",
		"kernel/cgroup/cpuset.c:cpuset_can_attach", "kernel/cgroup/cpuset.c:cpuset_attach", "kernel/cgroup/cpuset.c:cpuset_css_online", "kernel/cgroup/cpuset.c:cpuset_css_offline",
		"kernel/cgroup/cpuset.c:cpuset_css_killed", "kernel/cgroup/cpuset.c:cpuset_write_resmask", "kernel/cgroup/cpuset.c", "kernel/cgroup/",
		"kernel/sched/core.c:cpu_cgroup_attach", "kernel/sched/core.c:cpu_cgroup_css_alloc", "kernel/sched/core.c:cpu_cgroup_css_online", "kernel/sched/core.c:sched_move_task",
		"kernel/sched/core.c:cpu_weight_write_u64", "kernel/cgroup/pids.c",
	},
	Run: func(ctx context.Context, p agent.Params, m agent.Meter) error {
		return cgroupThreads{tree: guest}.run(ctx, p, m)
	},
})

type cgroupThreads struct{ tree sysfs.Tree }

func (c cgroupThreads) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	root := c.tree.Path("sys/fs/cgroup")
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil {
		<-ctx.Done() // version 1, or no cgroups
		return nil
	}
	home := filepath.Join(root, fmt.Sprintf("plugstorm-threads-%d", os.Getpid()))
	defer leaveHome(root, home)
	l := loop{params: p, meter: m, threads: 4, refuses: storeRefusals}
	for err := makeHome(ctx, home); err != nil; err = makeHome(ctx, home) { // allocations may fail just now
		switch {
		case ctx.Err() != nil:
			return nil
		case !l.legitimate(err):
			return err
		}
		m.Refused(err)
		pause(ctx, idlePause)
	}
	return l.run(ctx, func(worker int) (round, error) {
		if worker == 0 {
			return func(ctx context.Context, rng *rand.Rand) error { return switchControllers(ctx, rng, home) }, nil
		}
		runtime.LockOSThread() // never unlocked: the thread ends where it is
		return func(ctx context.Context, rng *rand.Rand) error { return moveThread(ctx, rng, home) }, nil
	})
}

// threadedChildren are cgroups below the process's own that hold single threads.
var threadedChildren = []string{"a", "b"}

// makeHome makes a cgroup for the process and those below it for its threads, if they
// aren't there yet.
func makeHome(ctx context.Context, home string) error {
	for _, dir := range []string{home, filepath.Join(home, threadedChildren[0]), filepath.Join(home, threadedChildren[1])} {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		file, value := "cgroup.type", "threaded"
		if dir == home {
			file, value = "cgroup.procs", strconv.Itoa(os.Getpid())
		}
		if err := sysfs.Write(ctx, filepath.Join(dir, file), value); err != nil {
			return err
		}
	}
	return nil
}

// leaveHome takes the process back to the root and removes its cgroups. What can't be
// removed is left behind, empty.
func leaveHome(root, home string) {
	_ = sysfs.Write(context.Background(), filepath.Join(root, "cgroup.procs"), strconv.Itoa(os.Getpid()))
	for _, child := range threadedChildren {
		_ = unix.Rmdir(filepath.Join(home, child))
	}
	_ = unix.Rmdir(home)
}

// moveThread takes the calling thread, which must be locked, to another cgroup of the
// process's.
func moveThread(ctx context.Context, rng *rand.Rand, home string) error {
	dir := home
	if i := rng.IntN(len(threadedChildren) + 1); i < len(threadedChildren) {
		dir = filepath.Join(home, threadedChildren[i])
	}
	return sysfs.Write(ctx, filepath.Join(dir, "cgroup.threads"), strconv.Itoa(unix.Gettid()))
}

// threadSettings are what a thread's cgroup may have, while the controller is on.
// Nodes are never without the boot memory, see cgroupChurn.
var threadSettings = []knob{
	{"cpuset.cpus", []string{"0", "0-1", "1", "0-3"}},
	{"cpuset.mems", []string{"0", "0-1"}},
	{"cpu.weight", []string{"50", "100", "200"}},
	{"cpu.idle", []string{"0", "1"}},
}

// switchControllers switches a controller of the threads' cgroups, or changes what one
// of them may have.
func switchControllers(ctx context.Context, rng *rand.Rand, home string) error {
	if rng.IntN(2) == 0 {
		controller := []string{"+cpuset", "-cpuset", "+cpu", "-cpu", "+pids", "-pids", "+cpuset +cpu", "-cpuset -cpu"}[rng.IntN(8)]
		return sysfs.Write(ctx, filepath.Join(home, "cgroup.subtree_control"), controller)
	}
	setting := threadSettings[rng.IntN(len(threadSettings))]
	child := threadedChildren[rng.IntN(len(threadedChildren))]
	return setIfThere(ctx, filepath.Join(home, child, setting.path), setting.values[rng.IntN(len(setting.values))])
}
