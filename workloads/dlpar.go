// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// DLPAR asks for memory as drmgr would.
var DLPAR = agent.Workloads.Register(&agent.Workload{
	Name: "dlpar",
	Doc: "asks the kernel through /sys/kernel/dlpar to add a block of memory, as drmgr does: when a DIMM has just been plugged it takes it away from " +
		"the kernel's own hotplug queue, block by block and in the writer's context: device_hotplug_lock, mem_hotplug_lock, HPT resizing; " +
		"idle on a kernel without that file",
	Touches: []string{
		"arch/powerpc/platforms/pseries/dlpar.c:dlpar_store", "arch/powerpc/platforms/pseries/hotplug-memory.c:dlpar_memory",
		"arch/powerpc/platforms/pseries/hotplug-memory.c:dlpar_add_lmb", "mm/memory_hotplug.c:__add_memory",
	},
	Run: dlpar{tree: guest}.run,
})

type dlpar struct{ tree sysfs.Tree }

const dlparFile = "sys/kernel/dlpar"

// dlparRequest adds one block (arch/powerpc/platforms/pseries/dlpar.c
// dlpar_parse_cmdline). A request for more is undone when there are fewer, and a
// block that the guest has given back by itself is lost for both sides: QEMU
// takes back only what it has asked back (hw/ppc/spapr_drc.c
// drc_isolate_logical), and the kernel, which doesn't look at the answer, then
// has no memory to give when it is asked (hotplug-memory.c dlpar_release_drc).
// For the same reason nothing is ever removed here.
const dlparRequest = "memory add count 1"

func (d dlpar) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	// What firmware doesn't have is EPERM (dlpar.c dlpar_acquire_drc returns -1).
	l := loop{params: p, meter: m, threads: 1, refuses: append([]unix.Errno{unix.EIO, unix.ENOSPC, unix.EEXIST}, hotplugRefusals...)}
	return l.run(ctx, same(func(ctx context.Context, _ *rand.Rand) error {
		path := d.tree.Path(dlparFile)
		if err := unix.Access(path, unix.F_OK); errors.Is(err, unix.ENOENT) {
			return errIdle
		}
		return sysfs.Write(ctx, path, dlparRequest)
	}))
}
