// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

var percpuOptions = map[string]int64{"areas": 64, "max_size": 4096}

// PercpuStorm allocates and frees percpu memory.
var PercpuStorm = agent.Workloads.Register(&agent.Workload{
	Name: "percpu-storm",
	Doc: "kthreads allocate and free percpu areas of many sizes and alignments: pcpu_alloc_mutex and the percpu " +
		"balance work, against the percpu allocations that memory and CPU hotplug make under their locks; " +
		"options areas (per kthread), max_size (bytes)",
	Touches: []string{"mm/percpu.c:pcpu_alloc_noprof", "mm/percpu.c:free_percpu", "mm/percpu.c:pcpu_balance_workfn", "mm/percpu.c", "mm/percpu-vm.c", "mm/vmalloc.c"},
	Modules: []string{"plugstorm_percpu"},
	Options: percpuOptions,
	Run:     moduleStorm{module: "plugstorm_percpu", options: percpuOptions}.run,
})
