// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"plugstorm/harness/agent"
)

// piped are events that come through a pipe.
func piped(t *testing.T) (uevents, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return uevents{r}, w
}

// TestWaitForEvent: an event of the kind of device ends the wait, others don't.
func TestWaitForEvent(t *testing.T) {
	for _, tt := range []struct {
		message string
		ends    bool
	}{
		{"online@/devices/system/memory/memory40\x00ACTION=online\x00SUBSYSTEM=memory\x00", true},
		{"add@/devices/system/memory/memory40", true},
		{"add@/kernel/slab/x\x00DEVPATH=/devices/system/memory/memory40\x00", false},
		{"/devices/system/memory/memory40", false},
		{"@", false},
	} {
		source, w := piped(t)
		if _, err := w.WriteString(tt.message); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		source.wait("/devices/system/memory/memory", began.Add(patience))
		if waited := time.Since(began) >= waitLook; waited == tt.ends {
			t.Errorf("%q: waited for %s", tt.message, time.Since(began))
		}
	}
}

// TestWaitWithoutEvents: a kernel that tells of none, or an end of them, costs
// neither time nor all of the CPU.
func TestWaitWithoutEvents(t *testing.T) {
	gone, w := piped(t)
	w.Close()
	for name, source := range map[string]uevents{"deaf": {}, "ended": gone} {
		began := time.Now()
		source.wait("/", began.Add(patience))
		if took := time.Since(began); took < waitDeaf {
			t.Errorf("%s: looks again after %s", name, took)
		}
	}
	began := time.Now()
	uevents{}.wait("/", began.Add(-patience))
	source, _ := piped(t)
	source.wait("/", began.Add(-patience))
	if took := time.Since(began); took > waitLook {
		t.Errorf("after its end it waits for %s", took)
	}
}

func TestMemoryWaits(t *testing.T) {
	g := newGuest(t)
	g.memoryTree()
	state := g.file("sys/devices/system/memory/memory33/state", "offline\n")
	params := agent.MemoryParams{Start: 33 * 128 << 20, Size: 2 * 128 << 20, Online: true, WaitMS: 50}
	var r agent.MemoryReply
	g.must(agent.MethodMemory, params, &r)
	if r.Present || len(r.Blocks) != 1 {
		t.Errorf("after its time: %+v", r)
	}
	params.WaitMS = patience.Milliseconds()
	time.AfterFunc(20*time.Millisecond, func() {
		g.file("sys/devices/system/memory/memory34/state", "online\n")
		time.Sleep(20 * time.Millisecond)
		_ = os.WriteFile(state, []byte("online\n"), 0o600)
	})
	g.must(agent.MethodMemory, params, &r)
	if !r.Present || len(r.Blocks) != 2 || r.Blocks[0].State != "online" {
		t.Errorf("it came, and is %+v", r)
	}
	params.Online = false
	if err := os.WriteFile(state, []byte("offline\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if g.must(agent.MethodMemory, params, &r); !r.Present || r.Blocks[0].State != "offline" {
		t.Errorf("present is enough, but %+v", r)
	}
	g.refuses("", agent.MethodMemory, agent.MemoryParams{Start: ^uint64(0), Size: 2, WaitMS: patience.Milliseconds()})
}

func TestCPUsWait(t *testing.T) {
	g := newGuest(t)
	g.file("sys/devices/system/cpu/possible", "0-3\n")
	g.file("sys/devices/system/cpu/present", "0-1\n")
	g.file("sys/devices/system/cpu/online", "0\n")
	var r agent.CPUsReply
	g.must(agent.MethodCPUs, agent.CPUsParams{Present: []int{0, 1}, Online: []int{0}, WaitMS: 50}, &r)
	if len(r.Present) != 2 {
		t.Errorf("nothing has changed: %+v", r)
	}
	time.AfterFunc(20*time.Millisecond, func() {
		_ = os.WriteFile(filepath.Join(g.root, "sys/devices/system/cpu/present"), []byte("0-2\n"), 0o600)
	})
	g.must(agent.MethodCPUs, agent.CPUsParams{Present: []int{0, 1}, Online: []int{0}, WaitMS: patience.Milliseconds()}, &r)
	if len(r.Present) != 3 || len(r.Online) != 1 {
		t.Errorf("a third one came: %+v", r)
	}
}
