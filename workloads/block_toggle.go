// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

var blockOptions = map[string]int64{
	"node": 1, // blocks of this node; negative for any node: most blocks of the boot memory will refuse
}

// hotplugRefusals are the kernel's legitimate answers to an online or offline:
// EBUSY for pages that can't move, EINTR, EAGAIN and ENOMEM for a migration or a notifier
// that gave up, ENOENT and ENODEV for a device that was unplugged meanwhile,
// EINVAL for a block with a hole (mm/memory_hotplug.c) or a zone that doesn't fit,
// EPERM where the architecture forbids it.
var hotplugRefusals = []unix.Errno{
	unix.EBUSY, unix.EINTR, unix.EAGAIN, unix.ENOMEM, unix.ENOENT, unix.ENODEV, unix.EINVAL, unix.EPERM,
}

// settleLimit bounds how long a stopped workload tries to bring back online
// what it took offline.
const settleLimit = 10 * time.Second

// A blockToggle takes random memory blocks offline and online again.
type blockToggle struct {
	tree      sysfs.Tree
	attribute string
	off, on   []string // values, drawn from
}

func (b blockToggle) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	node := int(p.Option("node", blockOptions["node"]))
	l := loop{params: p, meter: m, threads: 1, refuses: hotplugRefusals}
	return l.run(ctx, same(func(ctx context.Context, rng *rand.Rand) error {
		ids, err := b.tree.BlocksOfNode(node)
		if err != nil {
			return err
		}
		id, err := pick(rng, ids)
		if err != nil {
			return err
		}
		return b.toggle(ctx, id, b.off[rng.IntN(len(b.off))], b.on[rng.IntN(len(b.on))])
	}))
}

// toggle leaves the block online, whatever happens in between: also when ctx
// ends, and when somebody else had it offline.
func (b blockToggle) toggle(ctx context.Context, id uint64, off, on string) error {
	offErr := b.tree.SetBlock(ctx, id, b.attribute, off)
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	onErr := b.tree.SetBlock(settle, id, b.attribute, on)
	if offErr != nil && errors.Is(onErr, unix.EINVAL) {
		onErr = nil // it is online already; some attributes call that invalid
	}
	return errors.Join(offErr, onErr)
}

// refusedByHotplug reports whether err is one of hotplugRefusals.
func refusedByHotplug(err error) bool {
	return loop{refuses: hotplugRefusals}.legitimate(err)
}
