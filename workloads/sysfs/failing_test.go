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

// TestFailWorkersMarks: those who are meant, and those no more who were before.
func TestFailWorkersMarks(t *testing.T) {
	tree := faultTree(t)
	for _, file := range []string{"probability", "task-filter", "interval", "times", "space"} {
		put(t, tree, "sys/kernel/debug/failslab/"+file, "")
	}
	comms := map[string]string{"10": "kworker/u5:0-kacpi_hotplug", "11": "kworker/0:1", "12": "plugstorm_pgmap", "13": "init"}
	for pid, comm := range comms {
		put(t, tree, "proc/"+pid+"/comm", comm+"\n")
		put(t, tree, "proc/"+pid+"/make-it-fail", "")
	}
	for who, marks := range map[string]map[string]string{"": {"10": "1", "12": "0"}, "pgmap": {"10": "0", "12": "1"}} {
		if err := tree.FailWorkers(context.Background(), "failslab", Workers[who], 50, 2, 0); err != nil {
			t.Fatal(err)
		}
		for pid := range comms {
			if got, err := tree.Text("proc", pid, "make-it-fail"); err != nil || got != marks[pid] {
				t.Errorf("%q: %s is marked %q, %v; want %q", who, comms[pid], got, err, marks[pid])
			}
		}
		if got, _ := tree.Text("sys/kernel/debug/failslab/probability"); got != "50" {
			t.Errorf("the probability is %q", got)
		}
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
