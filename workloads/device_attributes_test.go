// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// TestDeviceAttributes: everything is read, what acts is written, and a link
// to another device isn't followed out of its class.
func TestDeviceAttributes(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "sys/devices/system/node/node0/compact", "")
	writeFile(t, tree, "sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "3\n")
	writeFile(t, tree, "sys/devices/system/memory/memory8/state", "online\n")
	if err := os.Symlink("../../memory/memory8", tree.Path("sys/devices/system/node/node0/memory8")); err != nil {
		t.Fatal(err)
	}
	if c, err := runFor(t, 100, agent.Params{}, deviceAttributes{tree: tree}.run); err != nil || c.done.Load() < 100 || c.refused.Load() != 0 {
		t.Errorf("done %d, refused %d, %v", c.done.Load(), c.refused.Load(), err)
	}
	for file, want := range map[string]string{"compact": "1", "hugepages/hugepages-2048kB/nr_hugepages": "3"} {
		if got, err := tree.Text("sys/devices/system/node/node0", file); err != nil || got[:1] != want {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
	if got, _ := tree.Text("sys/devices/system/memory/memory8/state"); got != "online" {
		t.Errorf("the block's state was written: %q", got)
	}
}

func TestNewestDevices(t *testing.T) {
	var all []string
	for i := range 10 {
		all = append(all, fmt.Sprint(i))
	}
	rng := rand.New(rand.NewPCG(1, 1))
	old, recent := 0, 0
	for range 1000 {
		switch got := (deviceAttributes{}).newest(all, rng); len(got) {
		case len(all):
			old++
		case 4:
			recent++
			if got[3] != "9" {
				t.Fatalf("the newest are %q", got)
			}
		}
	}
	if old < 150 || recent < 600 || old+recent != 1000 {
		t.Errorf("%d times all, %d times the newest", old, recent)
	}
}

func TestDevicePatterns(t *testing.T) {
	for _, pattern := range slices.Concat(hotDevices, actingAttributes) {
		if _, err := filepath.Match(pattern, "x"); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
	}
	if err := reread(context.Background(), filepath.Join(t.TempDir(), "gone"), nil); err != nil {
		t.Errorf("what isn't readable counts as read: %v", err)
	}
}
