// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

// VMSysctls turns the page allocator's switches that walk all zones.
var VMSysctls = agent.Workloads.Register(&agent.Workload{
	Name: "vm-sysctls",
	Doc: "turns sysctls that walk all zones: percpu_pagelist_high_fraction (pcp_batch_high_lock, which offline_pages holds too), watermark_scale_factor and min_free_kbytes " +
		"(setup_per_zone_wmarks), stat_refresh (a work item on every CPU), stat_interval, and compaction_proactiveness, which wakes kcompactd of every node",
	Touches: []string{
		"mm/page_alloc.c:percpu_pagelist_high_fraction_sysctl_handler", "mm/page_alloc.c:watermark_scale_factor_sysctl_handler",
		"mm/page_alloc.c:min_free_kbytes_sysctl_handler", "mm/page_alloc.c:setup_per_zone_wmarks", "mm/vmstat.c:vmstat_refresh", "mm/vmstat.c",
		"mm/compaction.c:compaction_proactiveness_sysctl_handler", "mm/compaction.c:kcompactd",
	},
	Run: knobs{tree: guest, list: vmKnobs}.run,
})

var vmKnobs = []knob{
	{"proc/sys/vm/percpu_pagelist_high_fraction", []string{"0", "8", "64"}},
	{"proc/sys/vm/watermark_scale_factor", []string{"10", "50", "200"}},
	{"proc/sys/vm/min_free_kbytes", []string{"2048", "4096", "8192"}},
	{"proc/sys/vm/stat_refresh", []string{"1"}},
	{"proc/sys/vm/stat_interval", []string{"1", "2"}},
	// kcompactd compacts at once, as long as its node is fragmented (mm/compaction.c compaction_proactiveness_sysctl_handler).
	{"proc/sys/vm/compaction_proactiveness", []string{"20", "100", "100"}},
}
