// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// TaskMempolicy has tasks say which nodes their memory is to come from.
var TaskMempolicy = agent.Workloads.Register(&agent.Workload{
	Name: "task-mempolicy",
	Doc: "threads take memory under changing policies of their own, of a mapping and of shared memory (interleaved, weighted, preferred), have it moved page by page " +
		"(move_pages) and as a whole (migrate_pages), and change the weights, while nodes come and go and others change their cpuset: mmap_lock, lru_add_drain_all, " +
		"task_lock, mems_allowed_seq, the lock of a shared policy's tree",
	Touches: []string{
		"mm/mempolicy.c:do_set_mempolicy", "mm/mempolicy.c:do_mbind", "mm/mempolicy.c:mpol_set_shared_policy", "mm/mempolicy.c:mpol_shared_policy_lookup",
		"mm/mempolicy.c:weighted_interleave_nid", "mm/mempolicy.c:interleave_nodes", "mm/mempolicy.c:do_migrate_pages", "mm/mempolicy.c:mpol_rebind_task",
		"mm/mempolicy.c:mpol_rebind_mm", "mm/mempolicy.c:node_store", "mm/mempolicy.c", "mm/migrate.c:do_pages_stat", "mm/migrate.c:move_pages_and_store_status",
		"mm/migrate.c:migrate_pages", "mm/migrate.c", "mm/swap.c:lru_add_drain_all", "mm/shmem.c", "mm/mlock.c", "kernel/cgroup/cpuset.c:cpuset_mems_allowed",
		"kernel/cgroup/cpuset.c:cpuset_change_task_nodemask",
	},
	Run: taskMempolicy{tree: guest}.run,
})

type taskMempolicy struct{ tree sysfs.Tree }

// mempolicyBytes is how much memory a thread has in each of its two mappings.
const mempolicyBytes = 1 << 20

// mempolicies are those that take a page from elsewhere when their nodes have none:
// who insists on a node (MPOL_BIND) is killed when that one goes.
var mempolicies = []int{unix.MPOL_DEFAULT, unix.MPOL_PREFERRED, unix.MPOL_INTERLEAVE, unix.MPOL_LOCAL, unix.MPOL_PREFERRED_MANY, unix.MPOL_WEIGHTED_INTERLEAVE}

// weightKnobs are how many pages weighted interleaving takes from each node in turn.
var weightKnobs = []knob{{"sys/kernel/mm/mempolicy/weighted_interleave/node*", []string{"0", "1", "3"}}}

func (t taskMempolicy) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	weights := knobs{tree: t.tree, list: weightKnobs}
	before := weights.save()
	defer weights.restore(before)
	l := loop{params: p, meter: m, threads: 2, refuses: append([]unix.Errno{unix.ENOSYS, unix.EFAULT, unix.ESRCH}, knobRefusals...)}
	return l.run(ctx, func(int) (round, error) {
		runtime.LockOSThread() // never unlocked: the thread ends with its policy
		return func(ctx context.Context, rng *rand.Rand) error {
			if rng.IntN(8) == 0 {
				return weights.turn(ctx, rng)
			}
			nodes, err := t.someNodes(rng)
			if err != nil {
				return err
			}
			return mempolicyRound(rng, nodes)
		}, nil
	})
}

// someNodes draws one or more of the nodes that have memory now.
func (t taskMempolicy) someNodes(rng *rand.Rand) (nodes unix.CPUSet, err error) {
	text, err := t.tree.Text("sys/devices/system/node/has_memory")
	if err != nil {
		return nodes, err
	}
	all, err := sysfs.ParseList(text)
	if err != nil {
		return nodes, err
	}
	one, err := pick(rng, all)
	if err != nil {
		return nodes, err
	}
	nodes.Set(one)
	for _, node := range all {
		if rng.IntN(2) == 0 {
			nodes.Set(node)
		}
	}
	return nodes, nil
}

// mempolicyRound takes memory, private or shared, under one policy of the thread and
// one of the mapping, and has it moved.
func mempolicyRound(rng *rand.Rand, nodes unix.CPUSet) error {
	share := []int{unix.MAP_PRIVATE, unix.MAP_SHARED}[rng.IntN(2)]
	pages, err := unix.Mmap(-1, 0, mempolicyBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|share)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	defer func() { _ = unix.Munmap(pages) }()
	if err := setPolicy(mempolicies[rng.IntN(len(mempolicies))], nodes); err != nil {
		return err
	}
	populate(pages[:mempolicyBytes/2])
	if err := bindMapping(rng, pages[mempolicyBytes/4:], mempolicies[rng.IntN(len(mempolicies))], nodes); err != nil {
		return err
	}
	populate(pages[mempolicyBytes/2:])
	switch rng.IntN(3) {
	case 0:
		return migrateTo(nodes)
	case 1:
		return movePages(rng, pages, nodes)
	}
	return nil
}

// withNodes are the nodes that a policy is told: these two take none (mm/mempolicy.c
// mpol_new).
func withNodes(mode int, nodes unix.CPUSet) unix.CPUSet {
	if mode == unix.MPOL_DEFAULT || mode == unix.MPOL_LOCAL {
		return unix.CPUSet{}
	}
	return nodes
}

func setPolicy(mode int, nodes unix.CPUSet) error {
	told := withNodes(mode, nodes)
	if err := unix.SetMemPolicy(mode, &told); err != nil {
		return fmt.Errorf("set_mempolicy %d: %w", mode, err)
	}
	return nil
}

// nodeBits is how many nodes a mask has room for, and one more: the kernel takes one
// off (mm/mempolicy.c get_nodes).
const nodeBits = unsafe.Sizeof(unix.CPUSet{})*8 + 1

func bindMapping(rng *rand.Rand, pages []byte, mode int, nodes unix.CPUSet) error {
	told, flags := withNodes(mode, nodes), []uintptr{0, mpolMove}[rng.IntN(2)]
	_, _, errno := unix.Syscall6(unix.SYS_MBIND, uintptr(unsafe.Pointer(&pages[0])), uintptr(len(pages)),
		uintptr(mode), uintptr(unsafe.Pointer(&told)), nodeBits, flags)
	if errno != 0 {
		return fmt.Errorf("mbind of policy %d: %w", mode, errno)
	}
	return nil
}

// migrateTo moves all that this process has, of whichever node, to some nodes.
func migrateTo(nodes unix.CPUSet) error {
	var from unix.CPUSet
	for node := range 8 {
		from.Set(node)
	}
	_, _, errno := unix.Syscall6(unix.SYS_MIGRATE_PAGES, 0, nodeBits, uintptr(unsafe.Pointer(&from)), uintptr(unsafe.Pointer(&nodes)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("migrate_pages: %w", errno)
	}
	return nil
}

// movePages moves a few pages to the first of some nodes, or only asks where they are.
func movePages(rng *rand.Rand, pages []byte, nodes unix.CPUSet) error {
	const few = 8
	var addresses [few]uintptr
	var to, status [few]int32
	for i := range addresses {
		at := rng.IntN(len(pages)/os.Getpagesize()) * os.Getpagesize()
		addresses[i] = uintptr(unsafe.Pointer(&pages[at]))
		for !nodes.IsSet(int(to[i])) {
			to[i]++
		}
	}
	targets := uintptr(unsafe.Pointer(&to))
	if rng.IntN(2) == 0 {
		targets = 0
	}
	_, _, errno := unix.Syscall6(unix.SYS_MOVE_PAGES, 0, few, uintptr(unsafe.Pointer(&addresses)), targets, uintptr(unsafe.Pointer(&status)), unix.MPOL_MF_MOVE)
	runtime.KeepAlive(&to)
	if errno != 0 {
		return fmt.Errorf("move_pages to node %s: %w", strconv.Itoa(int(to[0])), errno)
	}
	return nil
}
