// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
)

// ksmBytes is how much memory of equal pages ksmd is given.
const ksmBytes = 4 << 20

// KSMRun starts and stops the merging of equal pages.
var KSMRun = agent.Workloads.Register(&agent.Workload{
	Name: "ksm-run",
	Doc: "gives ksmd equal pages and starts it, stops it and has it unmerge them (ksm/run, merge_across_nodes): ksm_thread_mutex, which ksm's memory notifier " +
		"takes under mem_hotplug_lock, and stable nodes of memory that goes offline",
	Touches: []string{
		"mm/ksm.c:run_store", "mm/ksm.c:merge_across_nodes_store", "mm/ksm.c:ksm_scan_thread", "mm/ksm.c:ksm_do_scan",
		"mm/ksm.c:unmerge_and_remove_all_rmap_items", "mm/ksm.c",
	},
	Run: func(ctx context.Context, p agent.Params, m agent.Meter) error {
		if err := equalPages(); err != nil {
			return err
		}
		return knobs{tree: guest, list: ksmKnobs}.run(ctx, p, m)
	},
})

var ksmKnobs = []knob{
	{"sys/kernel/mm/ksm/run", []string{"0", "1", "1", "2"}},
	{"sys/kernel/mm/ksm/merge_across_nodes", []string{"0", "1"}},
	{"sys/kernel/mm/ksm/sleep_millisecs", []string{"1", "20"}},
	{"sys/kernel/mm/ksm/pages_to_scan", []string{"100", "1000"}},
}

// equalPages gives ksmd something to merge, for as long as the process lives.
func equalPages() error {
	pages, err := unix.Mmap(-1, 0, ksmBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	touch(pages)
	_ = unix.Madvise(pages, unix.MADV_MERGEABLE) // EINVAL without CONFIG_KSM: the knobs aren't there either
	return nil
}
