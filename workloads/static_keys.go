// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

// StaticKeys flips static keys.
var StaticKeys = agent.Workloads.Register(&agent.Workload{
	Name: "static-keys",
	Doc:  "flips static keys through sysctls (numa_stat, timer_migration): cpu_hotplug_lock for reading, jump_label_mutex, text_mutex, and a patched kernel text on every CPU",
	Touches: []string{
		"kernel/jump_label.c", "arch/x86/kernel/jump_label.c", "arch/x86/kernel/alternative.c", "arch/powerpc/kernel/jump_label.c",
		"arch/powerpc/lib/code-patching.c", "mm/vmstat.c:sysctl_vm_numa_stat_handler", "kernel/time/timer.c:timer_migration_handler",
	},
	Run: knobs{tree: guest, list: []knob{
		{"proc/sys/vm/numa_stat", []string{"0", "1"}},
		{"proc/sys/kernel/timer_migration", []string{"0", "1"}},
	}}.run,
})
