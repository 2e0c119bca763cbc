// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/blame"
)

// TestUserlandArchive: directories come before what is in them, links say
// where to.
func TestUserlandArchive(t *testing.T) {
	u := &Userland{Name: "x", Links: map[string]string{"bin/sh": "bash", "etc/mtab": "/proc/mounts"}}
	data, err := u.archive(map[string][]byte{"bin/bash": []byte("bash"), "usr/lib/deep/x": []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	got := unarchive(t, data)
	want := []string{
		"40755 bin ", "100755 bin/bash bash", "120777 bin/sh bash", "40755 etc ", "120777 etc/mtab /proc/mounts",
		"40755 usr ", "40755 usr/lib ", "40755 usr/lib/deep ", "100755 usr/lib/deep/x x",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestUserlandFiles takes a program of the host's for one of a package's: it
// gets all its libraries and its interpreter, and misses those that aren't there.
func TestUserlandFiles(t *testing.T) {
	const program = "/bin/ls"
	data, err := os.ReadFile(program)
	if err != nil {
		t.Skip(err)
	}
	names, err := needs(data)
	if err != nil || len(names) < 2 {
		t.Skipf("%s is no dynamic program: %q, %v", program, names, err)
	}
	dir := t.TempDir()
	copied := map[string]bool{}
	copyLibrary := func(name string) []byte {
		text := []byte("no ELF file")
		if err := os.WriteFile(filepath.Join(dir, path.Base(name)), text, 0o600); err != nil {
			t.Fatal(err)
		}
		copied[name] = true
		return text
	}
	if err := os.WriteFile(filepath.Join(dir, "ls"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	u := &Userland{Name: "x", Programs: map[string]string{"bin/ls": "ls"}, Scripts: map[string]string{"sbin/s": "script"}}
	if _, err := u.files(dir); blame.Of(err) != blame.Harness || !strings.Contains(err.Error(), "no package has") {
		t.Errorf("without its libraries: %v", err)
	}
	for _, name := range names {
		copyLibrary(name)
	}
	files, err := u.files(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		to := libraryDir + "/" + name
		if strings.HasPrefix(name, "/") {
			to = name[1:]
		}
		if files[to] == nil {
			t.Errorf("%s isn't at %s", name, to)
		}
	}
	if string(files["sbin/s"]) != "script" || !bytes.Equal(files["bin/ls"], data) {
		t.Error("the program or the script is missing")
	}
	u.Programs["bin/x"] = "x"
	if _, err := u.files(dir); blame.Of(err) != blame.Harness {
		t.Errorf("without its program: %v", err)
	}
}

// TestUserlands insists on what a guest relies on.
func TestUserlands(t *testing.T) {
	for _, u := range Userlands.All() {
		if u.Doc == "" || len(u.Packages) == 0 || len(u.Programs) == 0 {
			t.Errorf("%s: a Doc, packages and programs", u.Name)
		}
		for _, m := range []map[string]string{u.Programs, u.Links, u.Sources, u.Scripts} {
			for to := range m {
				if strings.HasPrefix(to, "/") || path.Clean(to) != to || strings.HasPrefix(to, "..") {
					t.Errorf("%s: %q is no path in an archive", u.Name, to)
				}
			}
		}
	}
}
