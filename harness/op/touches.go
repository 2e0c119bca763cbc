// SPDX-License-Identifier: Apache-2.0

package op

import "slices"

// What kinds have in common of the kernel that they make run (Kind.Touches), in
// 6.12. A step of CPU hotplug and a memory notifier count: they are called
// whoever is the cause.
var (
	memoryNotifiers = []string{
		"mm/slub.c:slab_memory_callback", "mm/slub.c:slab_mem_going_online_callback", "mm/slub.c:slab_mem_going_offline_callback", "mm/slub.c:slab_mem_offline_callback",
		"mm/ksm.c:ksm_memory_callback", "mm/page_ext.c", "mm/mm_init.c", "mm/memory-tiers.c:memtier_hotplug_callback",
		"kernel/cgroup/cpuset.c:cpuset_track_online_nodes", "drivers/acpi/numa/hmat.c", "fs/proc/kcore.c", "mm/kasan/shadow.c",
	}

	onlineTouches = slices.Concat([]string{
		"mm/memory_hotplug.c:online_pages", "drivers/base/memory.c:memory_subsys_online", "drivers/base/memory.c:memory_block_online",
		"drivers/base/core.c:device_online", "mm/page_alloc.c:build_all_zonelists", "mm/page_isolation.c", "mm/compaction.c:kcompactd_run", "mm/vmscan.c:kswapd_run",
	}, memoryNotifiers)

	offlineTouches = slices.Concat([]string{
		"mm/memory_hotplug.c:offline_pages", "drivers/base/memory.c:memory_subsys_offline", "drivers/base/memory.c:memory_block_offline",
		"drivers/base/core.c:device_offline", "mm/page_isolation.c:start_isolate_page_range", "mm/page_alloc.c:drain_all_pages", "mm/page_alloc.c:zone_pcp_disable",
		"mm/migrate.c:migrate_pages", "mm/swap.c:lru_cache_disable", "mm/hugetlb.c:dissolve_free_hugetlb_folios", "mm/compaction.c:kcompactd_stop", "mm/vmscan.c:kswapd_stop",
	}, memoryNotifiers)

	blockAttributes = []string{"drivers/base/memory.c:state_store", "drivers/base/core.c:online_store", "drivers/base/core.c:lock_device_hotplug_sysfs"}

	// What a memory block's attributes run, in one direction or in either.
	blockOnlineTouches  = slices.Concat(blockAttributes, onlineTouches)
	blockOfflineTouches = slices.Concat(blockAttributes, offlineTouches)
	blockTouches        = slices.Concat(blockOnlineTouches, offlineTouches)

	// dimmTouches are those of a DIMM that comes or goes.
	dimmTouches = []string{
		"mm/sparse-vmemmap.c", "mm/memblock.c", "kernel/resource.c", "drivers/firmware/memmap.c", "drivers/acpi/scan.c:acpi_device_hotplug", "arch/x86/mm/init_64.c",
		"arch/powerpc/platforms/pseries/dlpar.c", "arch/powerpc/platforms/pseries/lpar.c", "arch/powerpc/mm/",
	}

	// dimmAddTouches are those of a DIMM that comes, and of its blocks, which the
	// kernel may bring online by itself.
	dimmAddTouches = slices.Concat([]string{
		"mm/memory_hotplug.c:__add_memory", "mm/memory_hotplug.c:add_memory_resource", "drivers/base/memory.c:create_memory_block_devices", "drivers/base/node.c",
		"mm/sparse.c:sparse_add_section", "drivers/acpi/acpi_memhotplug.c:acpi_memory_device_add", "arch/powerpc/platforms/pseries/hotplug-memory.c:dlpar_add_lmb",
	}, dimmTouches, onlineTouches)

	// dimmRemoveTouches are those of a DIMM that goes.
	dimmRemoveTouches = slices.Concat([]string{
		"mm/memory_hotplug.c:try_remove_memory", "drivers/base/memory.c:remove_memory_block_devices", "drivers/base/memory.c:remove_memory_block", "drivers/base/node.c:unregister_one_node",
		"mm/sparse.c:sparse_remove_section", "drivers/acpi/acpi_memhotplug.c:acpi_memory_device_remove", "arch/powerpc/platforms/pseries/hotplug-memory.c:dlpar_remove_lmb",
	}, dimmTouches, offlineTouches)

	dimmEvictTouches = slices.Concat(blockAttributes, dimmRemoveTouches)

	// cpuTouches are those of a CPU that goes offline or online: the steps of
	// kernel/cpu.c cpuhp_hp_states, and of those who registered more.
	cpuTouches = []string{
		"kernel/cpu.c:_cpu_up", "kernel/cpu.c:_cpu_down", "drivers/base/cpu.c:cpu_subsys_online", "drivers/base/cpu.c:cpu_subsys_offline",
		"drivers/base/core.c:device_online", "drivers/base/core.c:device_offline",
		"kernel/smpboot.c", "kernel/workqueue.c:workqueue_online_cpu", "kernel/workqueue.c:workqueue_offline_cpu", "kernel/smp.c", "kernel/stop_machine.c", "kernel/kthread.c:kthread_park",
		"kernel/sched/", "kernel/rcu/tree.c", "kernel/time/", "kernel/irq/cpuhotplug.c", "kernel/irq/affinity.c", "kernel/events/core.c", "kernel/watchdog.c", "kernel/softirq.c",
		"kernel/cgroup/cpuset.c:cpuset_handle_hotplug", "kernel/padata.c", "kernel/trace/trace.c", "kernel/trace/trace_osnoise.c", "kernel/fork.c", "lib/percpu_counter.c",
		"mm/slub.c:slub_cpu_dead", "mm/page_alloc.c:page_alloc_cpu_dead", "mm/vmstat.c:vmstat_cpu_online", "mm/vmstat.c:vmstat_cpu_down_prep", "mm/compaction.c:kcompactd_cpu_online",
		"mm/memcontrol.c:memcg_hotplug_cpu_dead", "mm/page-writeback.c", "mm/memory_hotplug.c:try_online_node", "block/blk-mq.c", "net/core/dev.c:dev_cpu_dead",
		"arch/x86/kernel/smpboot.c", "arch/x86/kernel/process.c", "arch/x86/kernel/cpu/",
		"arch/powerpc/kernel/smp.c", "arch/powerpc/mm/numa.c", "arch/powerpc/platforms/pseries/smp.c", "arch/powerpc/platforms/pseries/hotplug-cpu.c:pseries_cpu_die",
	}

	// vcpuTouches are those of a vCPU that comes, or goes: of its device, and of the CPU.
	vcpuTouches = slices.Concat([]string{
		"drivers/acpi/acpi_processor.c:acpi_processor_add", "drivers/acpi/scan.c:acpi_device_hotplug", "drivers/acpi/processor_driver.c", "drivers/base/cpu.c:register_cpu", "drivers/base/cpu.c:unregister_cpu",
		"drivers/base/node.c:register_cpu_under_node", "arch/x86/kernel/acpi/boot.c", "arch/x86/kernel/cpu/topology.c",
		"arch/powerpc/platforms/pseries/hotplug-cpu.c:dlpar_cpu", "arch/powerpc/platforms/pseries/hotplug-cpu.c:dlpar_online_cpu", "arch/powerpc/platforms/pseries/hotplug-cpu.c:dlpar_offline_cpu",
		"arch/powerpc/platforms/pseries/dlpar.c", "drivers/of/dynamic.c",
	}, cpuTouches)

	// pgmapTouches are those of device memory that is mapped and unmapped.
	pgmapTouches = []string{
		"mm/memremap.c", "mm/memory_hotplug.c:move_pfn_range_to_zone", "mm/memory_hotplug.c:remove_pfn_range_from_zone", "mm/memory_hotplug.c:__add_pages", "mm/mm_init.c:memmap_init_zone_device",
		"mm/sparse.c:sparse_add_section", "mm/sparse.c:sparse_remove_section", "mm/sparse-vmemmap.c", "arch/x86/mm/init_64.c", "arch/powerpc/mm/mem.c",
	}
)
