// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"plugstorm/harness/agent"
)

// TestUntil: it looks at once, soon, and then less and less often, and once
// more when the time is over.
func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var looks []time.Duration
		look := func() (int, error) {
			looks = append(looks, time.Since(began))
			return len(looks), nil
		}
		if n, err := until(100, look, func(n int) bool { return n == 1000 }); n != len(looks) || err != nil || time.Since(began) != 100*time.Millisecond {
			t.Errorf("look %d after %s, %v", n, time.Since(began), err)
		}
		const ms = time.Millisecond
		if want := []time.Duration{0, 2 * ms, 6 * ms, 14 * ms, 30 * ms, 50 * ms, 70 * ms, 90 * ms, 100 * ms}; !slices.Equal(looks, want) {
			t.Errorf("looks at %v, want %v", looks, want)
		}
		began, looks = time.Now(), nil
		if n, _ := until(100, look, func(n int) bool { return n == 3 }); n != 3 || time.Since(began) != 6*ms {
			t.Errorf("it was there after %s", time.Since(began))
		}
		began = time.Now()
		if _, err := until(100, func() (int, error) { return 0, errors.ErrUnsupported }, func(int) bool { return false }); err == nil || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if _, _ = until(1<<40, look, func(int) bool { return false }); time.Since(began) != waitMax {
			t.Errorf("it waits for %s", time.Since(began))
		}
	})
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
