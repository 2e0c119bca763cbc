// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// openFiles counts our descriptors of files below dir.
func openFiles(t *testing.T, dir string) int {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && filepath.Dir(target) == dir {
			n++
		}
	}
	return n
}

// TestGlances: a file that is kept open shows what is in it now, and is closed when
// nobody reads it any more.
func TestGlances(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := &glances{}
	look := func(want map[string]string) {
		t.Helper()
		g.begin()
		defer g.end()
		for path, text := range want {
			if got, err := g.read(path); got != text || err != nil {
				t.Errorf("%s: %q, %v, want %q", path, got, err, text)
			}
		}
	}
	write(a, "one")
	write(b, "two")
	look(map[string]string{a: "one", b: "two"})
	write(a, "three")
	look(map[string]string{a: "three", b: "two"})
	if n := openFiles(t, dir); n != 2 {
		t.Errorf("%d files are kept open", n)
	}
	look(map[string]string{a: "three"})
	if n := openFiles(t, dir); n != 1 {
		t.Errorf("%d files are open after b was left out", n)
	}
	if _, err := g.read(filepath.Join(dir, "gone")); !os.IsNotExist(err) {
		t.Errorf("a file that isn't there: %v", err)
	}
	g.close()
	if n := openFiles(t, dir); n != 0 {
		t.Errorf("%d files are open at the end", n)
	}
}

// TestEndedTask: a number that another task has got is looked up anew.
func TestEndedTask(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stat")
	if err := os.WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A directory can't be read, as the stat of a task that has ended can't.
	ended, err := unix.Open(filepath.Dir(path), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	g := &glances{open: map[string]*glanced{path: {fd: ended}}}
	g.begin()
	defer g.close()
	if text, err := g.read(path); text != "new" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
