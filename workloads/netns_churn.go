// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
)

// NetnsChurn makes and drops network namespaces.
var NetnsChurn = agent.Workloads.Register(&agent.Workload{
	Name: "netns-churn",
	Doc: "moves a thread from one new network namespace into the next and brings lo up in it: pernet_ops_rwsem, rtnl_mutex, " +
		"percpu and slab memory of every pernet subsystem, and their teardown in the netns workqueue",
	Touches: []string{"net/core/net_namespace.c", "net/core/dev.c", "mm/percpu.c:pcpu_alloc_noprof", "kernel/nsproxy.c", "net/core/rtnetlink.c", "fs/proc/proc_net.c"},
	Run: func(ctx context.Context, p agent.Params, m agent.Meter) error {
		l := loop{params: p, meter: m, threads: 1, refuses: []unix.Errno{unix.ENOMEM, unix.ENOSPC, unix.EINTR}}
		return l.run(ctx, func(int) (round, error) {
			// Never unlocked: Go ends the thread with the goroutine, and the
			// last namespace with it.
			runtime.LockOSThread()
			return func(context.Context, *rand.Rand) error { return freshNetns() }, nil
		})
	},
})

// freshNetns moves the calling thread, which must be locked, into a new
// network namespace. The kernel drops the one it leaves, asynchronously.
func freshNetns() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare a network namespace: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	return nil
}
