// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// hello introduces the agent. What it says of the guest was found out once: a
// guest that goes on from a snapshot is asked again, and waited for.
func (a *guestAgent) hello() agent.Hello {
	h := a.introduction()
	h.UptimeMS = uptimeMS()
	return h
}

// introduce is hello, all but the time.
func (a *guestAgent) introduce() agent.Hello {
	h := agent.Hello{
		Protocol:   agent.ProtocolVersion,
		BlockBytes: a.tree.BlockBytes(),
		Modules:    moduleNames(a.modules),
		Missing:    missing(a.tree),
		Transport:  a.transport,
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		h.Release = unix.ByteSliceToString(name.Release[:])
		h.Version = unix.ByteSliceToString(name.Version[:])
		h.Arch = unix.ByteSliceToString(name.Machine[:])
	}
	return h
}

// features are what we use of a kernel, with a pattern of files that are there
// when the kernel has it.
var features = []struct{ name, files string }{
	{"memory hotplug", "sys/devices/system/memory/block_size_bytes"},
	{"CPU hotplug", "sys/devices/system/cpu/hotplug/states"},
	{"slab attributes", "sys/kernel/slab"},
	{"lockdep", "proc/lockdep"},
	{"hung task detection", "proc/sys/kernel/hung_task_timeout_secs"},
	{"SysRq", "proc/sysrq-trigger"},
	{"modules", "proc/modules"},
	{"network namespaces", "proc/self/ns/net"},
	{"page flags", "proc/kpageflags"},
	{"compaction", "proc/sys/vm/compact_memory"},
	{"debugfs", "sys/kernel/debug/*"},
}

// missing lists what this kernel lacks for us.
func missing(tree sysfs.Tree) []string {
	list := []string{}
	for _, f := range features {
		if there, err := filepath.Glob(tree.Path(f.files)); err != nil || len(there) == 0 {
			list = append(list, f.name)
		}
	}
	version2, err := tree.Text("sys/fs/cgroup/cgroup.controllers")
	for _, controller := range cgroupControllers {
		_, version1 := os.Stat(tree.Path("sys/fs/cgroup", controller, "cgroup.procs"))
		if (err != nil || !slices.Contains(strings.Fields(version2), controller)) && version1 != nil {
			list = append(list, "cgroup "+controller)
		}
	}
	return list
}
