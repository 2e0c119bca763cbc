// SPDX-License-Identifier: Apache-2.0

package images

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestToolVersion: a tool is asked once, and again when its file has changed,
// and each time if it isn't what its name says.
func TestToolVersion(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	b.Env = []string{"PATH=" + dir}
	old := time.Now().Add(-time.Hour)
	// An ELF file that isn't one: what it answers when asked is an error.
	put := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	remember := func(name, version string) {
		t.Helper()
		file, st := toolFile(filepath.Join(dir, name))
		cache := &statCache{Files: map[string]statEntry{file: {st, version}}}
		if err := cache.write(b.path("stat", key("tool", file)+".json")); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(name string) string {
		version, err := b.toolVersion(t.Context(), name)
		if err != nil {
			return "error"
		}
		return version
	}
	if err := b.prepare(); err != nil {
		t.Fatal(err)
	}
	put("gcc", "\x7fELF and nothing more")
	remember("gcc", "gcc 12")
	if got := ask("gcc"); got != "gcc 12" {
		t.Errorf("a tool that hasn't changed was asked again: %s", got)
	}
	put("gcc", "\x7fELF and something else")
	if got := ask("gcc"); got != "error" {
		t.Errorf("a tool that has changed is still %s", got)
	}
	put("ld", "#!/bin/sh\necho ld 2\n")
	remember("ld", "ld 1")
	if got := ask("ld"); got != "ld 2" {
		t.Errorf("a script is trusted by its file: %s", got)
	}
	put("ccache", "\x7fELF and nothing more")
	if _, st := toolFile(filepath.Join(dir, "as")); st != (stamp{}) {
		t.Error("a program that isn't there has a stamp")
	}
	if err := os.Symlink("ccache", filepath.Join(dir, "objcopy")); err != nil {
		t.Fatal(err)
	}
	if _, st := toolFile(filepath.Join(dir, "objcopy")); st != (stamp{}) {
		t.Error("a program of another name is trusted by its file")
	}
}
