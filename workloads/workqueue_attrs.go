// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

// WorkqueueAttrs changes what unbound workqueues may use.
var WorkqueueAttrs = agent.Workloads.Register(&agent.Workload{
	Name: "workqueue-attrs",
	Doc:  "changes the CPU mask of unbound workqueues, and nice, affinity_scope and cpumask of those in sysfs: cpu_hotplug_lock for reading, wq_pool_mutex, wq->mutex, workqueues rebuilt while CPUs come and go",
	Touches: []string{
		"kernel/workqueue.c:wq_nice_store", "kernel/workqueue.c:wq_cpumask_store", "kernel/workqueue.c:wq_affn_scope_store",
		"kernel/workqueue.c:cpumask_store", "kernel/workqueue.c:workqueue_set_unbound_cpumask", "kernel/workqueue.c:apply_workqueue_attrs_locked",
		"kernel/workqueue.c",
	},
	Run: knobs{tree: guest, list: []knob{
		{"sys/devices/virtual/workqueue/cpumask", []string{"1", "3", "f"}},
		{"sys/devices/virtual/workqueue/*/affinity_scope", []string{"cpu", "numa", "system", "default"}},
		{"sys/devices/virtual/workqueue/*/nice", []string{"0", "-5", "5"}},
		{"sys/devices/virtual/workqueue/*/cpumask", []string{"1", "3", "f"}},
	}}.run,
})
