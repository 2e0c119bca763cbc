// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// TestHoles: one page in sixteen is there, and no more is taken than was asked for.
func TestHoles(t *testing.T) {
	page := os.Getpagesize()
	pages, err := holes(t.Context(), 0, int64(33*page+1), 0)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		t.Skip("mbind: ", err) // a host without NUMA, a container that forbids it
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(pages)
	if len(pages) != 32*page {
		t.Fatalf("it took %d bytes of %d", len(pages), 33*page+1)
	}
	resident := make([]byte, len(pages)/page)
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&pages[0])), uintptr(len(pages)), uintptr(unsafe.Pointer(&resident[0]))); errno != 0 {
		t.Fatal(errno)
	}
	for i, there := range resident {
		if want := i%16 == 15; there&1 != 0 != want {
			t.Errorf("page %d is there: %d", i, there)
		}
	}
	if _, err := holes(t.Context(), 0, int64(page), 0); !errors.Is(err, errIdle) {
		t.Errorf("of one page: %v", err)
	}
}

// TestHolesStopAboveTheFloor: who would have to reclaim takes nothing.
func TestHolesStopAboveTheFloor(t *testing.T) {
	pages := make([]byte, 4*hogChunk)
	if taken, err := touchAbove(t.Context(), pages, 1<<62); taken != 0 || err != nil {
		t.Errorf("it took %d bytes, %v", taken, err)
	}
	if taken, err := touchAbove(t.Context(), pages, 0); taken != len(pages) || err != nil {
		t.Errorf("it took %d bytes of %d, %v", taken, len(pages), err)
	}
}

// TestNodeFree reads what the kernel writes, and nothing of what it doesn't.
func TestNodeFree(t *testing.T) {
	for text, want := range map[string]int64{
		"Node 1 MemTotal: 131072 kB\nNode 1 MemFree:  130012 kB\n": 130012 << 10,
		"Node 1 MemTotal: 131072 kB\n":                             0,
		"Node 1 MemFree: x kB\n":                                   0,
		"":                                                         0,
	} {
		if got := nodeFree(text); got != want {
			t.Errorf("%q: %d", text, got)
		}
	}
}

// TestFragmenterIdles: a node that is full, or is about to go, is no error, and
// neither is a kernel without NUMA.
func TestFragmenterIdles(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"no NUMA": nil,
		"full":    {"has_memory": "1\n", "node1/meminfo": "Node 1 MemFree: 0 kB\n"},
		"going":   {"has_memory": "1\n"},
	} {
		tree := sysfs.Tree(t.TempDir())
		for file, text := range files {
			writeFile(t, tree, "sys/devices/system/node/"+file, text)
		}
		if _, _, err := (fragmenter{tree: tree}).pick(rand.New(rand.NewPCG(1, 1))); !errors.Is(err, errIdle) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFragmenterTurnsKcompactdOn: and leaves the knob as it was.
func TestFragmenterTurnsKcompactdOn(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "sys/devices/system/node/has_memory", "0\n")
	writeFile(t, tree, "sys/devices/system/node/node0/meminfo", "Node 0 MemFree: 4096 kB\n")
	writeFile(t, tree, proactiveness, "20\n")
	writeFile(t, tree, "proc/zoneinfo", "        low      1\n")
	c, err := runFor(t, 3, agent.Params{Options: map[string]int64{"hold_ms": 0, "rest_ms": 0}}, fragmenter{tree: tree}.run)
	if err != nil {
		t.Fatal(err)
	}
	if c.done.Load() == 0 {
		t.Skipf("mbind is refused here, %d times", c.refused.Load())
	}
	if text, err := tree.Text(proactiveness); err != nil || text != "20" {
		t.Errorf("it leaves %q, %v", text, err)
	}
}
