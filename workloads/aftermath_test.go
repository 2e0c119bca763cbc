// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// TestAftermath: each list has a thread of its own, so that what one of them
// waits for keeps nobody else from theirs; and all is restored in the end.
func TestAftermath(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "a", "before")
	stuck := tree.Path("stuck") // opening it for reading waits for a writer
	if err := unix.Mkfifo(stuck, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	var side sync.WaitGroup
	side.Go(func() { // lets go of who reads it, as often as it takes
		<-ctx.Done()
		for done := false; !done; {
			if f, err := os.OpenFile(stuck, os.O_RDWR, 0); err == nil {
				f.Close()
			}
			select {
			case <-ended:
				done = true
			case <-time.After(time.Millisecond):
			}
		}
	})
	a := aftermath{tree: tree, lists: [][]knob{{{"stuck", nil}}, {{"a", []string{"y"}}}}}
	c := &counter{n: 50, stop: cancel}
	err := a.run(ctx, agent.Params{Threads: 1}, c)
	close(ended)
	side.Wait()
	if err != nil || c.done.Load() < 50 {
		t.Errorf("%d rounds, %v", c.done.Load(), err)
	}
	if text, err := tree.Text("a"); err != nil || text != "before" {
		t.Errorf("it leaves %q, %v", text, err)
	}
}
