// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

var dlparOptions = map[string]int64{"node": 1, "most": 2}

// DLPAR has the guest give memory back and take it again.
var DLPAR = agent.Workloads.Register(&agent.Workload{
	Name: "dlpar",
	Doc: "has the kernel remove memory and add it again by writing to /sys/kernel/dlpar, by count and by index, in the writer's own context and not " +
		"in that of the hotplug queue: device_hotplug_lock, mem_hotplug_lock, HPT resizing; idle on a kernel without that file; " +
		"options node (whose blocks it takes by index, default 1), most (memory blocks at a time by count)",
	Options: dlparOptions,
	Run:     dlpar{tree: guest}.run,
})

type dlpar struct{ tree sysfs.Tree }

const dlparFile = "sys/kernel/dlpar"

// dlparLimit bounds a removal, which migrates pages.
const dlparLimit = 30 * time.Second

// run never touches what a hypervisor has to give that isn't plugged: an LMB
// can be added again only while its DIMM is there.
func (d dlpar) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	node := int(p.Option("node", dlparOptions["node"]))
	most := max(int(p.Option("most", dlparOptions["most"])), 1)
	// What firmware refuses is EPERM (dlpar.c dlpar_acquire_drc returns -1).
	l := loop{params: p, meter: m, threads: 1, refuses: append([]unix.Errno{unix.EIO, unix.ENOSPC, unix.EEXIST}, hotplugRefusals...)}
	return l.run(ctx, same(func(ctx context.Context, rng *rand.Rand) error {
		what, err := d.draw(rng, node, most)
		if err != nil {
			return err
		}
		return d.cycle(ctx, what)
	}))
}

// draw says what to remove, as the kernel reads it
// (arch/powerpc/platforms/pseries/dlpar.c dlpar_parse_id_type).
func (d dlpar) draw(rng *rand.Rand, node, most int) (string, error) {
	ids, err := d.tree.BlocksOfNode(node)
	if err != nil {
		return "", err
	}
	block, err := pick(rng, ids) // with none, every request would only be refused
	if err != nil {
		return "", err
	}
	if _, err := d.tree.Text(dlparFile); errors.Is(err, unix.ENOENT) {
		return "", errIdle
	}
	if rng.IntN(2) == 0 {
		return fmt.Sprintf("count %d", 1+rng.IntN(most)), nil
	}
	// The index of an LMB: its type and its number (QEMU's spapr_drc.c, as PAPR
	// has it), and a memory block is one LMB.
	return fmt.Sprintf("index %#x", lmbIndex|block), nil
}

const lmbIndex = 0x80000000

// cycle adds again what it removed, also after ctx has ended.
func (d dlpar) cycle(ctx context.Context, what string) error {
	limited, cancel := context.WithTimeout(ctx, dlparLimit)
	defer cancel()
	if err := sysfs.Write(limited, d.tree.Path(dlparFile), "memory remove "+what); err != nil {
		return err
	}
	return sysfs.Write(context.WithoutCancel(ctx), d.tree.Path(dlparFile), "memory add "+what)
}
