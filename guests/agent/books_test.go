// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// booksTree is a kernel with one node, block and CPU, in which node0 still has
// a link to a CPU that is gone.
func booksTree(t *testing.T, more map[string]string) sysfs.Tree {
	t.Helper()
	const system, slab = "sys/devices/system/", "sys/kernel/slab/"
	files := map[string]string{
		"proc/iomem":    "00000000-07ffffff : System RAM\n  01000000-01ffffff : Kernel code\n80000000-8fffffff : PCI Bus 0000:00\n",
		"proc/zoneinfo": "Node 0, zone   Normal\n  per-node stats\n      nr_free 1\n        present  5\n        managed  4\n",
		"proc/meminfo":  "MemTotal:        16 kB\nMemFree:         1 kB\n",
		"proc/stat":     "cpu  1 2 3\ncpu0 1 2 3\nintr 5\n",
		"proc/cpuinfo":  "processor\t: 0\ncpu\t\t: POWER8\n\ntimebase\t: 1\n",
		"proc/7/stat":   "7 (kswapd0) S 2 0 0\n", "proc/8/stat": "8 (migration/0) S 2 0 0\n",
		"proc/9/stat":  "9 (kswapd1) S 1 0 0\n", // somebody's program
		"proc/10/stat": "10 (a ) b) S 2 0 0\n", "proc/11/stat": "nonsense", "proc/12/status": "",
		system + "memory/block_size_bytes": "8000000\n", system + "memory/memory0/state": "online\n",
		system + "cpu/online": "0\n", system + "cpu/present": "0\n", system + "cpu/cpu0/topology/core_id": "0\n", system + "cpu/cpuidle/x": "",
		system + "node/node0/cpulist": "0\n", system + "node/online": "0\n",
		"sys/bus/cpu/devices/x": "", "sys/bus/node/devices/x": "", "sys/bus/memory/devices/x": "",
		"sys/devices/virtual/memory_tiering/memory_tier4/nodelist": "0\n", "sys/devices/virtual/memory_tiering/power/x": "",
		slab + "plugstorm_0_3/x": "", slab + "kmalloc-8/x": "",
	}
	for name, text := range more {
		files[name] = text
	}
	tree := kernelFiles(t, files)
	for link, to := range map[string]string{
		system + "node/node0/cpu0": "../../cpu/cpu0", system + "node/node0/cpu1": "../../cpu/cpu1",
		system + "node/node0/subsystem": "../../../../bus/node", system + "cpu/cpu0/node0": "../../node/node0",
		"sys/bus/cpu/devices/cpu0": "../../../devices/system/cpu/cpu0",
		slab + "plugstorm_1_1":     "kmalloc-8",
	} {
		if err := os.Symlink(to, filepath.Join(string(tree), link)); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

func TestBooks(t *testing.T) {
	a := &guestAgent{tree: booksTree(t, nil), work: newSupervisor(nil, nil, "", nil)}
	a.faulted.Store(true)
	got, err := a.books()
	if err != nil {
		t.Fatal(err)
	}
	want := agent.BooksReply{
		PageBytes: uint64(os.Getpagesize()), BlockBytes: 128 << 20, Faulted: true,
		RAM: "00000000-07ffffff : System RAM\n", Zones: "Node 0, zone   Normal\n        present  5\n        managed  4", MemTotal: "MemTotal:        16 kB\n",
		Lists: map[string]string{"cpu/online": "0", "cpu/present": "0", "node/online": "0", "node/node0/cpulist": "0", "tier/memory_tier4": "0"},
		Dirs: []agent.BooksDir{
			{Path: "bus/cpu/devices", Links: []string{"cpu0"}},
			{Path: "devices/system/cpu/cpu0", Links: []string{"node0"}, Groups: []string{"topology"}},
			{Path: "bus/memory/devices"}, {Path: "devices/system/memory/memory0"},
			{Path: "bus/node/devices"},
			{Path: "devices/system/node/node0", Links: []string{"cpu0"}, Lost: []string{"cpu1"}},
		},
		Threads: map[string]int{"kswapd0": 1, "migration/0": 1},
		CPUStat: []int{0}, CPUInfo: []int{0}, Caches: []string{"plugstorm_0_3"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestBooksOfOthers: a block on its way and a module that is loaded are told
// apart, and what has no end isn't sent.
func TestBooksOfOthers(t *testing.T) {
	work := newSupervisor(nil, nil, "", nil)
	a := &guestAgent{work: work, tree: booksTree(t, map[string]string{
		"sys/devices/system/memory/memory0/state": "going-offline\n", "sys/module/plugstorm_slab/x": "",
	})}
	got, err := a.books()
	if err != nil || !got.(agent.BooksReply).Moving || got.(agent.BooksReply).Caches != nil || got.(agent.BooksReply).Faulted {
		t.Errorf("%+v, %v", got, err)
	}
	tree := booksTree(t, nil)
	if err := os.RemoveAll(tree.Path("sys/devices/system/node")); err != nil {
		t.Fatal(err)
	}
	if got, err := (&guestAgent{work: work, tree: tree}).books(); err != nil || len(got.(agent.BooksReply).Lists) == 0 {
		t.Errorf("a kernel without nodes: %+v, %v", got, err)
	}
	a = &guestAgent{work: work, tree: booksTree(t, map[string]string{"proc/iomem": strings.Repeat("0-1 : System RAM\n", booksTextMax)})}
	if _, err := a.books(); err == nil {
		t.Error("a text without an end is sent")
	}
	if _, err := (&guestAgent{work: work, tree: kernelFiles(t, nil)}).books(); err == nil {
		t.Error("a kernel without memory hotplug answers")
	}
}
