// SPDX-License-Identifier: Apache-2.0

package waitfor

import (
	"testing"

	"plugstorm/harness/frame"
)

// TestServantOf: a flush is of the work that its caller queues, not of whichever
// work happens to wait for the same task (6.1.192, x86_64: it was taken for
// acpi_hotplug_work_fn, and made a cycle that there was not).
func TestServantOf(t *testing.T) {
	stack := []frame.Frame{{Func: "wait_for_completion"}, {Func: "__flush_work"}, {Func: "flush_work"}, {Func: "cpuset_wait_for_hotplug"}, {Func: "_cpu_up"}}
	for site, want := range map[int]string{0: "", 1: "cpuset_hotplug_workfn", 2: "cpuset_hotplug_workfn"} {
		if got := servantOf(Work, stack, site); got != want {
			t.Errorf("from frame %d: %q, want %q", site, got, want)
		}
	}
	if got := servantOf(KthreadStop, stack, 1); got != "" {
		t.Errorf("a thread that is to stop is taken for %q", got)
	}
}
