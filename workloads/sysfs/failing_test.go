// SPDX-License-Identifier: Apache-2.0

package sysfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func put(t *testing.T, tree Tree, path, text string) {
	t.Helper()
	full := tree.Path(path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func faultTree(t *testing.T) Tree {
	tree := Tree(t.TempDir())
	put(t, tree, "sys/devices/system/memory/memory7/state", "")
	put(t, tree, "proc/thread-self/fail-nth", "")
	for _, s := range faultSettings {
		put(t, tree, "sys/kernel/debug/"+s.file, "")
	}
	return tree
}

// TestSetBlockFailing: a failure that didn't happen is called off, so that it
// hits nothing else.
func TestSetBlockFailing(t *testing.T) {
	tree := faultTree(t)
	failed, err := tree.SetBlockFailing(context.Background(), 7, "state", "offline", 3)
	if err != nil || failed {
		t.Errorf("%v, %v", failed, err)
	}
	for file, want := range map[string]string{
		"sys/devices/system/memory/memory7/state": "offline", "proc/thread-self/fail-nth": "0",
		"sys/kernel/debug/failslab/ignore-gfp-wait": "N",
	} {
		if got, err := tree.Text(file); err != nil || got != want {
			t.Errorf("%s holds %q, %v; want %q", file, got, err, want)
		}
	}
}

func TestSetBlockFailingWithoutFaultInjection(t *testing.T) {
	tree := faultTree(t)
	if err := os.RemoveAll(tree.Path("sys/kernel/debug")); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.SetBlockFailing(context.Background(), 7, "state", "offline", 3); !errors.Is(err, unix.ENOENT) {
		t.Errorf("%v", err)
	}
	if got, _ := tree.Text("sys/devices/system/memory/memory7/state"); got != "" {
		t.Errorf("the block was set to %q", got)
	}
}

// TestOnOwnThread: the thread is another one each time, and gone afterwards.
func TestOnOwnThread(t *testing.T) {
	gone := 0
	for range 8 {
		var tid int
		OnOwnThread(func() { tid = unix.Gettid() })
		for range 1000 {
			if errors.Is(unix.Tgkill(unix.Getpid(), tid, 0), unix.ESRCH) {
				gone++
				break
			}
		}
	}
	if gone < 4 { // an end takes a while
		t.Errorf("only %d of 8 threads are gone", gone)
	}
}
