// SPDX-License-Identifier: Apache-2.0

package workloads

import "plugstorm/harness/agent"

// TraceBuffers resizes and reads the rings that each CPU traces into.
var TraceBuffers = agent.Workloads.Register(&agent.Workload{
	Name: "trace-buffers",
	Doc: "resizes the ring buffers of all CPUs and of one, changes which CPUs are traced, switches the events of CPU hotplug, workqueues and migration on and off, and reads what was " +
		"traced: trace_types_lock, event_mutex, cpu_hotplug_lock for reading, the work that each CPU does to its ring, rings that a new CPU is given, and static keys of tracepoints",
	Touches: []string{
		"kernel/trace/ring_buffer.c:ring_buffer_resize", "kernel/trace/ring_buffer.c:trace_rb_cpu_prepare", "kernel/trace/ring_buffer.c:update_pages_handler",
		"kernel/trace/ring_buffer.c:ring_buffer_reset_online_cpus", "kernel/trace/ring_buffer.c", "kernel/trace/trace.c:tracing_resize_ring_buffer",
		"kernel/trace/trace.c:tracing_cpumask_write", "kernel/trace/trace.c:tracing_set_cpumask", "kernel/trace/trace.c:tracing_stats_read", "kernel/trace/trace.c",
		"kernel/trace/trace_events.c:event_enable_write", "kernel/trace/trace_events.c", "kernel/tracepoint.c", "kernel/jump_label.c:static_key_slow_inc_cpuslocked", "kernel/trace/",
	},
	Run: knobs{tree: guest, list: traceKnobs}.run,
})

const tracing = "sys/kernel/tracing/"

// traceKnobs are listed small sizes first: a ring is memory of each possible CPU. The
// values are put back at the end, but for those of sizes that the kernel says in words.
var traceKnobs = []knob{
	{tracing + "buffer_size_kb", []string{"8", "16", "64"}},
	{tracing + "per_cpu/cpu[0-3]/buffer_size_kb", []string{"8", "16", "32"}},
	{tracing + "tracing_cpumask", []string{"1", "3", "f"}},
	{tracing + "tracing_on", []string{"0", "1"}},
	{tracing + "trace_clock", []string{"local", "global", "counter"}},
	{tracing + "events/cpuhp/enable", []string{"0", "1"}},
	{tracing + "events/workqueue/enable", []string{"0", "1"}},
	{tracing + "events/migrate/enable", []string{"0", "1"}},
	{tracing + "per_cpu/cpu*/stats", nil},
	{tracing + "trace", []string{"\n"}}, // a write empties all rings
}
