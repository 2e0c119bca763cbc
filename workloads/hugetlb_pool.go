// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

// HugetlbPool fills and empties the pools of huge pages.
var HugetlbPool = agent.Workloads.Register(&agent.Workload{
	Name: "hugetlb-pool",
	Doc:  "changes nr_hugepages of every node: hugetlb_lock, compaction and contiguous allocation (drain_all_pages, lru_add_drain_all), huge pages that offline_pages has to dissolve or to migrate",
	Touches: []string{
		"mm/hugetlb.c:nr_hugepages_store", "mm/hugetlb.c:set_max_huge_pages", "mm/hugetlb.c", "mm/page_alloc.c:alloc_contig_range_noprof", "mm/compaction.c",
		"mm/hugetlb_vmemmap.c",
	},
	Run: knobs{tree: guest, list: []knob{
		{"sys/devices/system/node/node*/hugepages/hugepages-2048kB/nr_hugepages", []string{"0", "1", "4"}},
		{"sys/devices/system/node/node*/hugepages/hugepages-16384kB/nr_hugepages", []string{"0", "1", "2"}},
	}}.run,
})
