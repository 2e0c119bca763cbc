// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// kernelFiles makes a tree of what a kernel shows.
func kernelFiles(t *testing.T, files map[string]string) sysfs.Tree {
	t.Helper()
	tree := sysfs.Tree(t.TempDir())
	for name, text := range files {
		full := tree.Path(name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

func TestZones(t *testing.T) {
	files := map[string]string{
		"proc/zoneinfo": "Node 0, zone Normal\n", "proc/iomem": "0-1 : System RAM\n",
		"sys/devices/system/memory/block_size_bytes":     "8000000\n",
		"sys/devices/system/memory/memory3/state":        "online\n",
		"sys/devices/system/memory/memory3/valid_zones":  "Movable\n",
		"sys/devices/system/memory/memory3/node1/x":      "",
		"sys/devices/system/memory/memory4/state":        "offline\n",
		"sys/devices/system/memory/memory4/valid_zones":  "Normal Movable\n",
		"sys/devices/system/memory/memory5/state":        "online\n",
		"sys/devices/system/memory/memory5/valid_zones":  "none\n",
		"sys/devices/system/memory/memory17/state":       "online\n", // in no zone that it would tell
		"sys/devices/system/memory/memory17/node0/x":     "",
		"sys/devices/system/memory/memory9/not-a-state":  "",
		"sys/devices/system/memory/memory10/valid_zones": "Normal\n",
	}
	a := &guestAgent{tree: kernelFiles(t, files)}
	got, err := a.zones(agent.ZonesParams{Blocks: true})
	if err != nil {
		t.Fatal(err)
	}
	want := agent.ZonesReply{
		PageBytes: uint64(os.Getpagesize()), BlockBytes: 128 << 20,
		Blocks:      []agent.ZoneBlock{{ID: 3, Node: 1, Zone: "Movable"}, {ID: 5, Node: -1}, {ID: 17, Node: 0}},
		IOMemBefore: "0-1 : System RAM", ZoneInfo: "Node 0, zone Normal", IOMemAfter: "0-1 : System RAM",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if loud, err := a.zones(agent.ZonesParams{}); err != nil || loud.(agent.ZonesReply).Blocks != nil {
		t.Errorf("%+v, %v", loud, err)
	}
	files["sys/devices/system/memory/memory4/state"] = "going-offline\n"
	a.tree = kernelFiles(t, files)
	if moving, err := a.zones(agent.ZonesParams{Blocks: true}); err != nil || !moving.(agent.ZonesReply).Moving {
		t.Errorf("a block is going offline: %+v, %v", moving, err)
	}
	files["proc/iomem"] = strings.Repeat("x", zoneTextMax+1)
	a.tree = kernelFiles(t, files)
	if _, err := a.zones(agent.ZonesParams{}); err == nil {
		t.Error("a text without an end is sent")
	}
}

func TestFailWorkers(t *testing.T) {
	files := map[string]string{
		"proc/2/comm": "kthreadd\n", "proc/2/make-it-fail": "0",
		"proc/7/comm": "kworker/u8:1-kacpi_hotplug\n", "proc/7/make-it-fail": "0",
		"proc/9/comm": "kworker/0:1-kacpid\n", "proc/9/make-it-fail": "0",
		"proc/8/comm": "kworker/u4:0\n", // has ended meanwhile
	}
	for _, what := range sysfs.Faults {
		for _, file := range []string{"probability", "interval", "times", "task-filter", "space", "ignore-gfp-wait", "verbose", "min-order"} {
			files["sys/kernel/debug/"+what+"/"+file] = ""
		}
	}
	a := &guestAgent{tree: kernelFiles(t, files)}
	call := func(params string) error {
		_, err := methods[agent.MethodFailWorkers](a, json.RawMessage(params))
		return err
	}
	expect := func(values map[string]string) {
		t.Helper()
		for file, want := range values {
			if got, err := a.tree.Text(file); err != nil || got != want {
				t.Errorf("%s holds %q, %v; want %q", file, got, err, want)
			}
		}
	}
	if err := call(`{"what":"failslab","percent":10,"times":2,"skip":512}`); err != nil {
		t.Fatal(err)
	}
	expect(map[string]string{
		"sys/kernel/debug/failslab/probability": "10", "sys/kernel/debug/failslab/times": "2", "sys/kernel/debug/failslab/task-filter": "Y", "sys/kernel/debug/failslab/space": "512",
		"sys/kernel/debug/fail_page_alloc/probability": "", "proc/7/make-it-fail": "1", "proc/2/make-it-fail": "0", "proc/9/make-it-fail": "0",
	})
	if err := call(`{"what":"failslab","percent":0,"times":0}`); err != nil {
		t.Fatal(err)
	}
	if got, _ := a.tree.Text("sys/kernel/debug/failslab/probability"); !strings.HasPrefix(got, "0") {
		t.Errorf("it goes on failing: %q", got)
	}
	if err := call(`{"what":"../../../etc","percent":10,"times":2}`); err == nil {
		t.Error("anything may fail")
	}
}
