// SPDX-License-Identifier: Apache-2.0

package sysfs

import (
	"context"
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseCPUSteps(t *testing.T) {
	got, err := ParseCPUSteps("  0: offline\n  1: threads:prepare\n238: online\n")
	if err != nil || !slices.Equal(got, []CPUStep{{0, "offline"}, {1, "threads:prepare"}, {238, "online"}}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "x: y", "12"} {
		if got, err := ParseCPUSteps(bad); err == nil {
			t.Errorf("%q: got %v", bad, got)
		}
	}
}

// TestSetCPUFailing: one step is told to fail, never one of a dead CPU, and
// none when it is over.
func TestSetCPUFailing(t *testing.T) {
	tree := Tree(t.TempDir())
	if err := tree.SetCPUFailing(context.Background(), 1, false, 0); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a kernel that can't: %v", err)
	}
	put(t, tree, "sys/devices/system/cpu/hotplug/states", "  0: offline\n 50: slub:dead\n238: online\n")
	put(t, tree, "sys/devices/system/cpu/cpu1/online", "1")
	put(t, tree, "sys/devices/system/cpu/cpu1/hotplug/fail", "")
	for nth := range 5 {
		if err := tree.SetCPUFailing(context.Background(), 1, false, nth); err != nil {
			t.Fatal(err)
		}
		if got, _ := tree.Text("sys/devices/system/cpu/cpu1/online"); got != "0" {
			t.Errorf("online is %q", got)
		}
		// A plain file keeps the rest of what was longer.
		if got, _ := tree.Text("sys/devices/system/cpu/cpu1/hotplug/fail"); len(got) < 2 || got[:2] != "-1" {
			t.Errorf("a step is left to fail: %q", got)
		}
		if got, _ := tree.Text("sys/devices/system/cpu/cpu1/hotplug/fail"); got == "-10" || got == "50" {
			t.Errorf("a dead CPU's step is told to fail: %q", got)
		}
	}
}
