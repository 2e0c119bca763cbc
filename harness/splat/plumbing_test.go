// SPDX-License-Identifier: Apache-2.0

package splat

import "testing"

// subjects are functions that plugstorm is made to find bugs in.
var subjects = []string{
	// hotplug of memory and CPUs
	"online_pages", "offline_pages", "add_memory_resource", "try_remove_memory", "memory_subsys_online", "mem_hotplug_begin", "get_online_mems",
	"move_pfn_range_to_zone", "isolate_migratepages_block", "scan_movable_pages", "do_migrate_range", "kcompactd_do_work", "cpu_up", "_cpu_down",
	"cpus_read_lock", "cpuhp_invoke_callback", "cpuhp_thread_fun", "takedown_cpu", "multi_cpu_stop", "dlpar_cpu_remove", "pseries_memory_notifier",
	// allocators
	"__kmem_cache_shutdown", "kmem_cache_destroy", "kmem_cache_shrink", "deactivate_slab", "slab_memory_callback", "free_pcppages_bulk",
	"drain_all_pages", "get_page_from_freelist", "rmqueue_bulk", "zone_pcp_update", "pcpu_alloc_noprof", "pcpu_balance_workfn", "free_percpu",
	// workqueues, devices
	"process_one_work", "worker_thread", "workqueue_offline_cpu", "unbind_workers", "apply_workqueue_attrs", "device_online", "device_offline",
	"kernfs_drain", "__kernfs_remove", "bus_remove_device", "remove_memory_block_devices", "writeback_sb_inodes",
}

// TestPlumbingHidesNoSubject: the list skips helpers, never the subject.
func TestPlumbingHidesNoSubject(t *testing.T) {
	for _, fn := range subjects {
		if isPlumbing(fn, nil) {
			t.Errorf("%s is plumbing", fn)
		}
	}
}

// TestPlumbingRules: every rule says why, and helpers keep their place in
// the identity.
func TestPlumbingRules(t *testing.T) {
	for _, r := range plumbing {
		if len(r.reason) < 8 {
			t.Errorf("%v has no reason", r.names)
		}
	}
	for _, fn := range []string{"__mutex_lock", "kmem_cache_alloc_noprof", "__alloc_pages_noprof", "__queue_work", "device_del", "percpu_down_write"} {
		f := Finding{}
		f.in("WARNING", []string{"__warn", fn, "caller"})
		if f.Title != "WARNING in caller" || len(f.Alt) != 1 || f.Alt[0] != "WARNING in "+fn {
			t.Errorf("%s: title %q, alt %q", fn, f.Title, f.Alt)
		}
		if isNoise(fn) {
			t.Errorf("%s enters no identity", fn)
		}
	}
}
