// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"plugstorm/workloads/sysfs"
)

// TestFragment: memory is in pieces when kcompactd is told, and whole again.
func TestFragment(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	path := tree.Path(proactiveness)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("20\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := (fragment{tree: tree}).round(context.Background(), 1<<20+5, 1<<20+5, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "100" {
		t.Errorf("wrote %q, %v", text, err)
	}
	gone := fragment{tree: sysfs.Tree(t.TempDir())}
	if err := gone.round(context.Background(), 1<<20, 0, time.Millisecond); err == nil {
		t.Error("no kernel to tell, and no error")
	}
}
