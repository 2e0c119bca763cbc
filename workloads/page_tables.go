// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

// PageTables dumps the kernel's page tables.
var PageTables = agent.Workloads.Register(&agent.Workload{
	Name:    "page-tables",
	Doc:     "dumps the kernel page tables through debugfs (ptdump_walk_pgd): mem_hotplug_lock for reading over init_mm's mmap_lock, and a walk of page tables that memory hotplug changes",
	Touches: []string{"mm/ptdump.c", "arch/x86/mm/dump_pagetables.c", "arch/powerpc/mm/ptdump/", "mm/pagewalk.c"},
	Run: knobs{tree: guest, list: []knob{
		{"sys/kernel/debug/kernel_page_tables", nil},
		{"sys/kernel/debug/page_tables/kernel", nil},
	}}.run,
})
