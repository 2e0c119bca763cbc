// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"plugstorm/harness/blame"
)

// TestModuleFiles: where a module may lie, and how it may be packed.
func TestModuleFiles(t *testing.T) {
	b := compiled(t, targets[0])
	plain := filepath.Join(b.modules, "my-mod.ko")
	stripped := filepath.Join(t.TempDir(), "my-mod.ko")
	b.run(t, "strip", "-g", "-o", stripped, plain)
	for _, tt := range []struct {
		name  string
		files map[string]string // in the directory: a copy of the file, packed as the suffix says
		wrong string            // "" if the place is found
	}{
		{"deep", map[string]string{"kernel/drivers/my-mod.ko": plain}, ""},
		{"underscore", map[string]string{"my_mod.ko": plain}, ""},
		{"gzip", map[string]string{"my-mod.ko.gz": plain}, ""},
		{"zstd", map[string]string{"my-mod.ko.zst": plain}, ""},
		{"split off", map[string]string{"a/my-mod.ko": stripped, "b/my-mod.ko.debug": plain}, ""},
		{"xz", map[string]string{"my-mod.ko.xz": plain}, "compressed with xz"},
		{"stripped", map[string]string{"my-mod.ko": stripped}, "no debug information"},
		{"twice", map[string]string{"6.1/my-mod.ko": plain, "6.12/my_mod.ko": plain}, "several modules my_mod"},
		{"other", map[string]string{"my-mod2.ko": plain}, "there is no module my_mod"},
		{"bad gzip", map[string]string{"my-mod.ko.gz.gz/my-mod.ko.gz": ""}, "my-mod.ko.gz: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, from := range tt.files {
				pack(t, from, filepath.Join(dir, name))
			}
			if err := os.Symlink(b.modules, filepath.Join(dir, "build")); err != nil { // as in /lib/modules
				t.Fatal(err)
			}
			table, err := Open(b.vmlinux, dir)
			if err != nil {
				t.Fatal(err)
			}
			defer table.Close()
			places, err := table.Locate(Ref{Func: "mod_work", Module: "my_mod", Offset: 1})
			if tt.wrong == "" {
				if err != nil || places[0].File != header && places[0].File != modC {
					t.Errorf("%v, %v", places, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), tt.wrong) || blame.Of(err) != blame.User {
				t.Errorf("%v, %v, want %q", places, err, tt.wrong)
			}
		})
	}
}

// pack copies a file; "" stands for one that isn't what its name says.
func pack(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	data := []byte("nothing")
	if from != "" {
		var err error
		if data, err = os.ReadFile(from); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var w io.WriteCloser = f
	switch {
	case from == "":
	case strings.HasSuffix(to, ".gz"):
		w = gzip.NewWriter(f)
	case strings.HasSuffix(to, ".zst"):
		if w, err = zstd.NewWriter(f); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestModulesBounded: of many modules the last ones stay open.
func TestModulesBounded(t *testing.T) {
	b := compiled(t, targets[0])
	dir := t.TempDir()
	names := "abcdefghijklmnopqrstuvwxyz"
	for _, c := range names {
		pack(t, filepath.Join(b.modules, "my-mod.ko"), filepath.Join(dir, string(c)+".ko"))
	}
	table, err := Open(b.vmlinux, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	var want []Place
	for _, c := range names + "az" {
		places, err := table.Locate(Ref{Func: "init_module", Module: string(c), Offset: 1})
		if err != nil || want != nil && cmp.Diff(want, places) != "" {
			t.Fatalf("module %c: %v, %v", c, places, err)
		}
		want = places
	}
	if len(table.loaded) != maxModules || len(table.recent) != maxModules || table.loaded["z"] == nil || table.loaded["b"] != nil {
		t.Errorf("%d modules are open: %v", len(table.loaded), table.recent)
	}
}

// TestModuleError: what is wrong with a module is told every time.
func TestModuleError(t *testing.T) {
	b := compiled(t, targets[0])
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "m.ko"), []byte("\x7fELF and nothing more"), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := Open(b.vmlinux, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	for range 2 {
		_, err := table.Locate(Ref{Func: "f", Module: "m"})
		var bad *DamagedError
		if !errors.As(err, &bad) || blame.Next(err) == "" {
			t.Errorf("%v", err)
		}
	}
}

// TestManyFiles: a directory that is too large to be looked through is said to
// be, and not to lack the module.
func TestManyFiles(t *testing.T) {
	m := moduleDir{dir: t.TempDir(), limit: 3}
	for _, name := range []string{"a", "b", "c.ko"} {
		if err := os.WriteFile(filepath.Join(m.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.open("c"); err == nil || !strings.Contains(err.Error(), "more than 3 files") || blame.Of(err) != blame.User || blame.Next(err) == "" {
		t.Error(err)
	}
	m.limit++
	if _, err := m.open("c"); err == nil || strings.Contains(err.Error(), "more than") {
		t.Error(err)
	}
}
