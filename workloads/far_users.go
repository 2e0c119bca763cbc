// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// FarUsers touches what takes the hotplug locks far from mm and kernel/cpu.c.
var FarUsers = agent.Workloads.Register(&agent.Workload{
	Name: "far-users",
	Doc: "writes what makes far users of cpu_hotplug_lock and mem_hotplug_lock take them: padata's CPU masks, zswap's pools, the osnoise tracer, " +
		"the CPUs that the network steers to, " +
		"kmemleak's scan, soft offlining of a page of hot-added memory; what the kernel lacks is left out (feature users has them all)",
	Touches: []string{
		"kernel/padata.c:padata_set_cpumask", "mm/zswap.c:zswap_pool_create", "mm/zsmalloc.c", "kernel/trace/trace_osnoise.c",
		"kernel/trace/trace.c:tracing_set_tracer", "mm/kmemleak.c:kmemleak_scan", "mm/memory-failure.c:soft_offline_page",
		"drivers/base/memory.c:soft_offline_page_store", "crypto/pcrypt.c", "net/core/net-sysfs.c:store_rps_map", "net/core/net-sysfs.c", "net/core/sysctl_net_core.c:rps_sock_flow_sysctl",
	},
	Run: farUsers{tree: guest}.run,
})

type farUsers struct{ tree sysfs.Tree }

var farKnobs = []knob{
	// padata_set_cpumask -> cpus_read_lock, pinst->lock (kernel/padata.c)
	{"sys/kernel/pcrypt/pencrypt/parallel_cpumask", []string{"1", "2", "3", "f"}},
	{"sys/kernel/pcrypt/pdecrypt/serial_cpumask", []string{"1", "2", "3", "f"}},
	// zswap_pool_create -> cpuhp_state_add_instance (mm/zswap.c)
	{"sys/module/zswap/parameters/compressor", []string{"lzo", "lzo-rle"}},
	{"sys/module/zswap/parameters/enabled", []string{"Y", "N"}},
	// osnoise_workload_start, osnoise_cpus_write -> cpus_read_lock, trace_types_lock, interface_lock (kernel/trace/trace_osnoise.c)
	{"sys/kernel/tracing/current_tracer", []string{"osnoise", "timerlat", "nop"}},
	{"sys/kernel/tracing/osnoise/cpus", []string{"0", "0-1", "1-3"}},
	// store_rps_map -> rps_map_mutex, static_branch_inc -> cpus_read_lock (net/core/net-sysfs.c); rps_sock_flow_sysctl likewise (net/core/sysctl_net_core.c)
	{"sys/class/net/*/queues/rx-*/rps_cpus", []string{"0", "1", "3"}},
	{"sys/class/net/*/queues/rx-*/rps_flow_cnt", []string{"0", "32"}},
	{"proc/sys/net/core/rps_sock_flow_entries", []string{"0", "64"}},
	{"proc/sys/net/core/flow_limit_cpu_bitmap", []string{"0", "3"}},
	// kmemleak_scan -> get_online_mems, scan_mutex (mm/kmemleak.c)
	{"sys/kernel/debug/kmemleak", []string{"scan", "clear"}},
}

// softOffline is written with a physical address: soft_offline_page ->
// mf_mutex, get_online_mems (mm/memory-failure.c). Each page it takes is lost
// until its block goes, so it comes up rarely.
const (
	softOffline      = "sys/devices/system/memory/soft_offline_page"
	softOfflineOneIn = 16
)

func (f farUsers) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	k := knobs{tree: f.tree, list: f.present()}
	before := k.save()
	defer k.restore(before)
	l := loop{params: p, meter: m, threads: 2, refuses: append(slices.Clone(knobRefusals), unix.ENXIO)}
	return l.run(ctx, same(func(ctx context.Context, rng *rand.Rand) error {
		switch {
		case rng.IntN(softOfflineOneIn) == 0 && unix.Access(f.tree.Path(softOffline), unix.W_OK) == nil:
			return f.softOffline(ctx, rng)
		case len(k.list) == 0:
			return errIdle
		default:
			return k.turn(ctx, rng)
		}
	}))
}

// present lists the knobs that this kernel has.
func (f farUsers) present() []knob {
	return slices.DeleteFunc(slices.Clone(farKnobs), func(k knob) bool { return unix.Access(f.tree.Path(k.path), unix.W_OK) != nil })
}

// softOffline takes a page of the last memory block there is, which is
// hot-added if any is.
func (f farUsers) softOffline(ctx context.Context, rng *rand.Rand) error {
	ids, err := f.tree.BlockIDs()
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return errIdle
	}
	page := uint64(os.Getpagesize())
	address := ids[len(ids)-1]*f.tree.BlockBytes() + rng.Uint64N(max(f.tree.BlockBytes()/page, 1))*page
	return sysfs.Write(ctx, f.tree.Path(softOffline), "0x"+strconv.FormatUint(address, 16))
}
