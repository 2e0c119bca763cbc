// SPDX-License-Identifier: Apache-2.0

package sysfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseList(t *testing.T) {
	for text, want := range map[string][]int{
		"":          nil,
		"\n":        nil,
		"0\n":       {0},
		"0-3,8\n":   {0, 1, 2, 3, 8},
		"2,4-5":     {2, 4, 5},
		"7-7":       {7},
		"0-1,63-63": {0, 1, 63},
	} {
		if got, err := ParseList(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"x", "3-1", "-1", "0-", "0,,1", "0-4000000000", "0-99999"} {
		if got, err := ParseList(text); err == nil {
			t.Errorf("%q: got %d numbers", text, len(got))
		}
	}
}

func TestBlocks(t *testing.T) {
	tree := Tree(t.TempDir())
	if size := tree.BlockBytes(); size != 0 {
		t.Errorf("a block size of %d without memory hotplug", size)
	}
	for _, dir := range []string{"memory10/node1", "memory2/node0", "memory3", "memoryX", "power"} {
		if err := os.MkdirAll(tree.Path("sys/devices/system/memory", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, tree.Path("sys/devices/system/memory/block_size_bytes"), "10000000\n")
	write(t, tree.Path("sys/devices/system/memory/memory10/state"), "going-offline\n")
	if size := tree.BlockBytes(); size != 256<<20 {
		t.Errorf("block size %d", size)
	}
	if ids, err := tree.BlockIDs(); err != nil || !slices.Equal(ids, []uint64{2, 3, 10}) {
		t.Errorf("got %v, %v", ids, err)
	}
	for node, want := range map[int][]uint64{-1: {2, 3, 10}, 0: {2}, 1: {10}, 5: {}} {
		if ids, err := tree.BlocksOfNode(node); err != nil || !slices.Equal(ids, want) {
			t.Errorf("node %d: got %v, %v; want %v", node, ids, err, want)
		}
	}
	if b, err := tree.Block(10); err != nil || b != (Block{ID: 10, State: "going-offline", Node: 1}) {
		t.Errorf("got %+v, %v", b, err)
	}
	if _, err := tree.Block(4); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a block that isn't there: %v", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWriteNeedsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := Write(context.Background(), path, "1"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("it was created")
	}
}

// fullFIFO makes a FIFO that takes no more bytes: a write to it waits as the
// kernel's interruptible waits do, and restarts (ERESTARTSYS) after a signal.
func fullFIFO(t *testing.T) (path string, fd int) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	for err == nil {
		_, err = unix.Write(fd, make([]byte, 4096))
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	return path, fd
}

func TestWriteIsInterrupted(t *testing.T) {
	path, _ := fullFIFO(t)
	for range 5 { // now and then the signal comes before the system call
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		err := Write(ctx, path, "offline")
		cancel()
		if !errors.Is(err, unix.EINTR) {
			t.Errorf("got %v, want EINTR", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Write(ctx, path, "offline"); !errors.Is(err, unix.EINTR) {
		t.Errorf("too late from the start: got %v, want EINTR", err)
	}
}

func TestSignalBeforeTheLimitIsNoInterruption(t *testing.T) {
	path, fd := fullFIFO(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- Write(ctx, path, "offline") }()
	for range 20 { // as Go's own preemption does, to whatever thread
		if err := unix.Kill(unix.Getpid(), unix.SIGURG); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-result:
		t.Fatalf("it ended: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	if _, err := unix.Read(fd, make([]byte, 8192)); err != nil { // room for it
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Errorf("got %v", err)
	}
}

func TestSetCPUAndBlockWriteTheirFiles(t *testing.T) {
	tree := Tree(t.TempDir())
	for _, dir := range []string{"sys/devices/system/cpu/cpu3", "sys/devices/system/memory/memory9"} {
		if err := os.MkdirAll(tree.Path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cpu, block := tree.Path("sys/devices/system/cpu/cpu3/online"), tree.Path("sys/devices/system/memory/memory9/state")
	write(t, cpu, "0")
	write(t, block, "online")
	ctx := context.Background()
	if err := errors.Join(tree.SetCPU(ctx, 3, true), tree.SetBlock(ctx, 9, "state", "offline")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{cpu: "1", block: "offline"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", path, got, err)
		}
	}
}

// TestPeek: it reads what Text reads, and says what isn't there.
func TestPeek(t *testing.T) {
	tree := Tree(t.TempDir())
	long := strings.Repeat("x", 2*peekBytes)
	for name, content := range map[string]string{"state": "online\n", "empty": "", "long": long} {
		if err := os.WriteFile(tree.Path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		want, _ := tree.Text(name)
		if got, err := tree.Peek(name); got != want || err != nil {
			t.Errorf("%s: %d bytes, %v, want %d", name, len(got), err, len(want))
		}
	}
	if _, err := tree.Peek("gone"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("what isn't there: %v", err)
	}
	if _, err := tree.Peek("."); !errors.Is(err, unix.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
}
