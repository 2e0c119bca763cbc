// SPDX-License-Identifier: Apache-2.0

package patch_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/images/internal/patch"
)

// numbered is a file of n lines "line 1" ... with some replaced.
func numbered(n int, replaced map[int]string) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		if text, ok := replaced[i]; ok {
			b.WriteString(text)
			continue
		}
		b.WriteString("line ")
		b.WriteString(strings.Repeat("i", i))
		b.WriteString("\n")
	}
	return b.String()
}

func line(i int) string { return "line " + strings.Repeat("i", i) + "\n" }

// hunk replaces line 10 of a numbered file, claiming to be at line at.
func hunk(header string) string {
	return header + " " + line(7) + " " + line(8) + " " + line(9) + "-" + line(10) + "+ten\n " + line(11) + " " + line(12) + " " + line(13)
}

// newTree makes a tree of files.
func newTree(t *testing.T, files map[string]string) (string, *os.Root) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return dir, root
}

// apply parses and applies a patch, and returns the changed files' text.
func apply(root *os.Root, text string) (map[string]string, error) {
	p, err := patch.Parse("test.patch", []byte(text))
	if err != nil {
		return nil, err
	}
	o := patch.NewOverlay(root, func(name string) bool { return strings.HasPrefix(name, "private/") })
	if err := o.Apply(p); err != nil {
		return nil, err
	}
	got := map[string]string{}
	for name, c := range o.Changes {
		if got[name] = string(c.Data); c.Deleted {
			got[name] = "(deleted)"
		}
	}
	return got, nil
}

func TestFormats(t *testing.T) {
	const plain = "--- a/mm/slub.c\n+++ b/mm/slub.c\n"
	ten := numbered(20, map[int]string{10: "ten\n"})
	qp := strings.ReplaceAll(strings.ReplaceAll(plain+hunk("@@ -7,7 +7,7 @@\n"), "=", "=3D"), "line i", "line =69")
	for name, text := range map[string]string{
		"patch -p1":            plain + hunk("@@ -7,7 +7,7 @@\n"),
		"other top directory":  "--- linux.orig/mm/slub.c\t2026-01-01\n+++ linux/mm/slub.c\t2026-01-02\n" + hunk("@@ -7,7 +7,7 @@\n"),
		"header as in a plant": "plant: x\nnote: --- this\n---\n" + plain + hunk("@@ -7,7 +7,7 @@\n"),
		"git":                  "diff --git a/mm/slub.c b/mm/slub.c\nindex 1..2 100644\n" + plain + hunk("@@ -7,7 +7,7 @@ func()\n"),
		"mail":                 "From 0123 Mon Sep 17 00:00:00 2001\nFrom: A <a@b>\nSubject: [PATCH] x\n\nText.\n---\n mm/slub.c | 2 +-\n\n" + plain + hunk("@@ -7,7 +7,7 @@\n") + "-- \n2.39.2\n\n",
		"CRLF":                 strings.ReplaceAll(plain+hunk("@@ -7,7 +7,7 @@\n"), "\n", "\r\n"),
		"quoted-printable":     "From: A <a@b>\nContent-Transfer-Encoding: quoted-printable\n\nText.\n" + qp,
		"base64":               "From: A <a@b>\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(plain+hunk("@@ -7,7 +7,7 @@\n"))) + "\n",
		"moved up":             plain + hunk("@@ -17,7 +17,7 @@\n"),
		"moved down":           plain + hunk("@@ -2,7 +2,7 @@\n"),
		"absurd line":          plain + hunk("@@ -999999999999999,7 +7,7 @@\n"),
	} {
		t.Run(name, func(t *testing.T) {
			_, root := newTree(t, map[string]string{"mm/slub.c": numbered(20, nil)})
			got, err := apply(root, text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]string{"mm/slub.c": ten}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSeveralFiles(t *testing.T) {
	_, root := newTree(t, map[string]string{"a.c": numbered(20, nil), "old.c": "one\n", "gone.c": "x\n", "n.c": "end"})
	got, err := apply(root, ""+
		"--- a/a.c\n+++ b/a.c\n"+hunk("@@ -7,7 +7,7 @@\n")+"@@ -18,3 +18,4 @@\n "+line(18)+" "+line(19)+" "+line(20)+"+-- a/b\n"+
		"diff --git a/old.c b/dir/new.c\nrename from old.c\nrename to dir/new.c\n"+
		"diff --git a/gone.c b/gone.c\ndeleted file mode 100644\n--- a/gone.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"+
		"--- /dev/null\n+++ b/made.c\n@@ -0,0 +1,2 @@\n+--- a/no\n++++ b/no\n"+
		"--- a/n.c\n+++ b/n.c\n@@ -1 +1 @@\n-end\n\\ No newline at end of file\n+END\n")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"a.c":   numbered(20, map[int]string{10: "ten\n"}) + "-- a/b\n",
		"old.c": "(deleted)", "dir/new.c": "one\n", "gone.c": "(deleted)", "made.c": "--- a/no\n+++ b/no\n", "n.c": "END\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A second mail in the same mailbox sees what the first one did.
func TestMailbox(t *testing.T) {
	_, root := newTree(t, map[string]string{"a.c": "1\n"})
	mail := func(from, to string) string {
		return "From 0123 Mon Sep 17 00:00:00 2001\nFrom: A <a@b>\nSubject: x\n\n---\n--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n-" +
			from + "\n+" + to + "\n-- \n2.39.2\n\n"
	}
	got, err := apply(root, mail("1", "2")+mail("2", "3"))
	if err != nil {
		t.Fatal(err)
	}
	if got["a.c"] != "3\n" {
		t.Errorf("got %q", got["a.c"])
	}
}

func TestRejects(t *testing.T) {
	make := func(name string) string { return "--- /dev/null\n+++ b/" + name + "\n@@ -0,0 +1 @@\n+x\n" }
	for name, tc := range map[string]struct{ text, want string }{
		"no diff":         {"hello\n", "there is no diff"},
		"empty":           {"", "there is no diff"},
		"truncated":       {"--- a/a.c\n+++ b/a.c\n@@ -7,7 +7,7 @@\n " + line(7), "diff number 1"},
		"dotdot":          {make("../etc/passwd"), "not one inside the tree"},
		"hidden dotdot":   {make("mm/../../x"), "not one inside the tree"},
		"absolute":        {"diff --git /etc/passwd /etc/passwd\nnew file mode 100644\n--- /dev/null\n+++ /etc/passwd\n@@ -0,0 +1 @@\n+x\n", "is absolute"},
		"git directory":   {make("x/.GIT/hooks/post-checkout"), "git directory"},
		"private":         {make("private/x"), "not for patches"},
		"symlinked dir":   {make("link/x"), "symbolic link"},
		"symlinked file":  {"--- a/file\n+++ b/file\n@@ -1 +1 @@\n-1\n+2\n", "symbolic link"},
		"makes symlink":   {"diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n\\ No newline at end of file\n", "symbolic link"},
		"below a file":    {make("a.c/x"), "is a file"},
		"exists":          {make("a.c"), "exists already"},
		"no such file":    {"--- a/b.c\n+++ b/b.c\n" + hunk("@@ -7,7 +7,7 @@\n"), "no such file"},
		"a directory":     {"--- a/mm\n+++ b/mm\n" + hunk("@@ -7,7 +7,7 @@\n"), "no regular file"},
		"rename escapes":  {"diff --git a/a.c b/../a.c\nrename from a.c\nrename to ../a.c\n", "not one inside the tree"},
		"copy from link":  {"diff --git a/file b/c\ncopy from file\ncopy to c\n", "symbolic link"},
		"no -p1":          {"--- a.c\n+++ a.c\n" + hunk("@@ -7,7 +7,7 @@\n"), "names no file"},
		"context differs": {"--- a/a.c\n+++ b/a.c\n" + strings.ReplaceAll(hunk("@@ -7,7 +7,7 @@\n"), " "+line(8), " other\n"), `hunk 1: it fits nowhere; at line 8 it wants "other"`},
		"applied already": {"--- a/done.c\n+++ b/done.c\n" + hunk("@@ -7,7 +7,7 @@\n"), "applied already, at line 7"},
		"second hunk":     {"--- a/a.c\n+++ b/a.c\n" + hunk("@@ -7,7 +7,7 @@\n") + hunk("@@ -17,7 +17,7 @@\n"), "hunk 2"},
		"binary":          {"diff --git a/x b/x\nindex 1..2 100644\nBinary files a/x and b/x differ\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, root := newTree(t, map[string]string{
				"a.c": numbered(20, nil), "done.c": numbered(20, map[int]string{10: "ten\n"}), "mm/x.c": "x\n", "x": "1",
			})
			outside := filepath.Join(t.TempDir(), "outside")
			for link, target := range map[string]string{"link": filepath.Dir(outside), "file": "a.c"} {
				if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
					t.Fatal(err)
				}
			}
			got, err := apply(root, tc.text)
			var rejected *patch.Error
			if !errors.As(err, &rejected) {
				t.Fatalf("got %v, error %v", got, err)
			}
			if !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "test.patch") {
				t.Errorf("the error %q should contain %q", err, tc.want)
			}
		})
	}
}

// A patch that fails leaves the overlay as it was.
func TestAllOrNothing(t *testing.T) {
	_, root := newTree(t, map[string]string{"a.c": "1\n", "b.c": "1\n"})
	p, err := patch.Parse("p", []byte("--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n-1\n+2\n--- a/b.c\n+++ b/b.c\n@@ -1 +1 @@\n-0\n+2\n"))
	if err != nil {
		t.Fatal(err)
	}
	o := patch.NewOverlay(root, nil)
	if err := o.Apply(p); err == nil {
		t.Fatal("the second file doesn't match")
	}
	if len(o.Changes) != 0 {
		t.Errorf("left over: %v", o.Changes)
	}
}

// Writing an overlay must not reach a hard-linked source through its link.
func TestWriteBreaksLinks(t *testing.T) {
	source, root := newTree(t, map[string]string{"a.c": "1\n", "b.c": "1\n"})
	copied := t.TempDir()
	for _, name := range []string{"a.c", "b.c"} {
		if err := os.Link(filepath.Join(source, name), filepath.Join(copied, name)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := patch.Parse("p", []byte("diff --git a/a.c b/a.c\nold mode 100644\nnew mode 100755\n--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n-1\n+2\n"+
		"--- a/b.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n"))
	if err != nil {
		t.Fatal(err)
	}
	o := patch.NewOverlay(root, nil)
	if err := o.Apply(p); err != nil {
		t.Fatal(err)
	}
	dst, err := os.OpenRoot(copied)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	if err := o.Write(dst); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{filepath.Join(source, "a.c"): "1\n", filepath.Join(copied, "a.c"): "2\n"} {
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", file, got, err, want)
		}
	}
	info, err := os.Stat(filepath.Join(copied, "a.c"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode %v, %v; want 0755", info.Mode(), err)
	}
	if _, err := os.Stat(filepath.Join(copied, "b.c")); !os.IsNotExist(err) {
		t.Errorf("b.c should be gone: %v", err)
	}
}

// Whatever the bytes: no panic, and no path outside of the tree.
func FuzzParse(f *testing.F) {
	f.Add([]byte("--- a/a.c\n+++ b/a.c\n" + hunk("@@ -7,7 +7,7 @@\n")))
	f.Add([]byte("diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n"))
	f.Add([]byte("--- a/x\n+++ b/x\n@@ -1,99999999999 +1 @@\n\n"))
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.c"), []byte(numbered(20, nil)), 0o644); err != nil {
		f.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.Fatal(err)
	}
	defer root.Close()
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := patch.Parse("fuzz", text)
		if err != nil {
			return
		}
		o := patch.NewOverlay(root, nil)
		if err := o.Apply(p); err != nil {
			return
		}
		for name := range o.Changes {
			if !filepath.IsLocal(name) {
				t.Errorf("path %q", name)
			}
		}
	})
}
