// SPDX-License-Identifier: Apache-2.0

package patch

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// A Change is what became of one file.
type Change struct {
	Data    []byte
	Exec    bool
	Deleted bool
}

// An Overlay is a tree with patches applied in memory. The tree itself is only
// read.
type Overlay struct {
	Changes map[string]Change // by slash-separated path in the tree
	root    *os.Root
	refuse  func(path string) bool
}

// NewOverlay begins with an unchanged tree. refuse, unless nil, names paths
// that patches must not touch. root stays the caller's.
func NewOverlay(root *os.Root, refuse func(path string) bool) *Overlay {
	return &Overlay{Changes: map[string]Change{}, root: root, refuse: refuse}
}

// Apply applies p on top of what was applied before, all of it or nothing. Its
// errors are *Error, or from reading the tree.
func (o *Overlay) Apply(p *Patch) error {
	before := maps.Clone(o.Changes)
	for _, file := range p.files {
		if err := o.applyFile(p.Name, file); err != nil {
			o.Changes = before
			return err
		}
	}
	return nil
}

// modes that a patch may give a file.
const (
	gitSymlink   = 0o120000
	gitSubmodule = 0o160000
)

func (o *Overlay) applyFile(name string, f *gitdiff.File) error {
	target := f.NewName
	if f.IsDelete {
		target = f.OldName
	}
	fail := func(hunk int, reason string) error {
		return &Error{Patch: name, File: target, Hunk: hunk, Reason: reason}
	}
	if reason := o.checkFile(f, target); reason != "" {
		return fail(0, reason)
	}
	old, err := o.source(f)
	if err != nil {
		return fail(0, err.Error())
	}
	data, err := applyContent(old.Data, f)
	if hunk := (*hunkError)(nil); errors.As(err, &hunk) {
		return fail(hunk.number, hunk.reason)
	}
	if err != nil {
		return fail(0, err.Error())
	}
	if f.IsDelete && len(data) > 0 {
		return fail(0, "the diff deletes the file but not all of its lines")
	}
	if f.IsRename || f.IsDelete {
		o.Changes[f.OldName] = Change{Deleted: true}
	}
	if !f.IsDelete {
		exec := old.Exec
		if f.NewMode != 0 {
			exec = f.NewMode&0o111 != 0
		}
		o.Changes[target] = Change{Data: data, Exec: exec}
	}
	return nil
}

// checkFile says what is wrong with a diff before its content is looked at, ""
// for nothing.
func (o *Overlay) checkFile(f *gitdiff.File, target string) string {
	for _, p := range []string{f.OldName, f.NewName} {
		if p == "" {
			continue
		}
		if reason := o.checkPath(p); reason != "" {
			return reason
		}
	}
	kind := f.NewMode & 0o170000
	switch {
	case target == "":
		return "the diff names no file (is it a -p1 patch?)"
	case kind == gitSymlink || kind == gitSubmodule:
		return "the diff makes a symbolic link or a submodule"
	case f.IsNew && o.has(target):
		return "the diff makes a file that exists already"
	case (f.IsRename || f.IsCopy) && f.OldName != f.NewName && o.has(target):
		return "the diff renames onto a file that exists already"
	}
	return ""
}

// source is what the diff begins with: nothing for a new file.
func (o *Overlay) source(f *gitdiff.File) (Change, error) {
	if f.IsNew {
		return Change{}, nil
	}
	return o.read(f.OldName)
}

// has reports whether there is a file or anything else of that name.
func (o *Overlay) has(name string) bool {
	if c, ok := o.Changes[name]; ok {
		return !c.Deleted
	}
	_, err := o.root.Lstat(name)
	return err == nil
}

// read returns a file as the patches so far have left it.
func (o *Overlay) read(name string) (Change, error) {
	if c, ok := o.Changes[name]; ok {
		if c.Deleted {
			return Change{}, errors.New("an earlier patch deleted the file")
		}
		return c, nil
	}
	info, err := o.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Change{}, errors.New("the tree has no such file")
	}
	if err != nil {
		return Change{}, err
	}
	if !info.Mode().IsRegular() {
		return Change{}, errors.New("it is no regular file in the tree")
	}
	data, err := o.root.ReadFile(name)
	return Change{Data: data, Exec: info.Mode()&0o111 != 0}, err
}

// Text is a file as the patches so far have left it, "" for none that could be
// patched.
func (o *Overlay) Text(name string) string {
	if o.checkPath(name) != "" {
		return ""
	}
	c, err := o.read(name)
	if err != nil {
		return ""
	}
	return string(c.Data)
}

// checkPath says what is wrong with a path of a patch, "" for nothing. Only
// plain relative paths without any symbolic link on the way are good.
func (o *Overlay) checkPath(name string) string {
	switch {
	case !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\x00\n\\"):
		return fmt.Sprintf("the path %q is not one inside the tree", name)
	case slices.ContainsFunc(strings.Split(name, "/"), func(e string) bool { return strings.EqualFold(e, ".git") }):
		return fmt.Sprintf("the path %q is in a git directory", name)
	case o.refuse != nil && o.refuse(name):
		return fmt.Sprintf("the path %q is not for patches", name)
	}
	for dir := name; dir != "."; dir = path.Dir(dir) {
		info, err := o.root.Lstat(dir)
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Sprintf("%q is a symbolic link in the tree", dir)
		}
		if c, ok := o.Changes[dir]; dir != name && (ok && !c.Deleted || !ok && err == nil && !info.IsDir()) {
			return fmt.Sprintf("%q is a file", dir)
		}
	}
	return ""
}

// Write puts the changes into a tree that looks like the overlay's own. Each
// file is written anew and renamed into place, so that hard links to the old
// one are left alone.
func (o *Overlay) Write(root *os.Root) error {
	for _, name := range slices.Sorted(maps.Keys(o.Changes)) {
		c := o.Changes[name]
		if c.Deleted {
			if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		if err := Replace(root, name, c.Data, c.Exec); err != nil {
			return err
		}
	}
	return nil
}

// Replace writes a file anew, directories included, and renames it into place.
func Replace(root *os.Root, name string, data []byte, exec bool) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	perm := fs.FileMode(0o644)
	if exec {
		perm = 0o755
	}
	tmp := path.Join(path.Dir(name), ".plugstorm-new")
	if err := root.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := root.WriteFile(tmp, data, perm); err != nil {
		return err
	}
	return root.Rename(tmp, name)
}

func applyContent(old []byte, f *gitdiff.File) ([]byte, error) {
	if f.IsBinary {
		var out bytes.Buffer
		if f.BinaryFragment == nil {
			return nil, errors.New("a binary file without its data")
		}
		err := gitdiff.Apply(&out, bytes.NewReader(old), f)
		return out.Bytes(), err
	}
	return applyHunks(old, f.TextFragments)
}
