// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// linkTree fills dst, which must not exist, with hard links to the files of
// src; where the file system can't link it copies. Directories are made anew
// and symbolic links are read and made again. Nothing may write to a linked
// file in place.
func linkTree(ctx context.Context, src, dst string) error {
	return walkTree(ctx, src, dst, func(from, to string, info fs.FileInfo) error {
		if os.Link(from, to) == nil {
			return nil
		}
		return copyFile(from, to, info)
	})
}

// copyObjects copies an object directory with all times kept, and moves
// absolute paths in Kbuild's .cmd files (objtool's) from the old work tree to
// the new one: make rebuilds what a different command line made.
func copyObjects(ctx context.Context, src, dst string) error {
	oldRoot, newRoot := []byte(filepath.Dir(src)+"/"), []byte(filepath.Dir(dst)+"/")
	return walkTree(ctx, src, dst, func(from, to string, info fs.FileInfo) error {
		if !strings.HasSuffix(from, ".cmd") {
			return copyFile(from, to, info)
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(to, bytes.ReplaceAll(text, oldRoot, newRoot), info.Mode().Perm()); err != nil {
			return err
		}
		return os.Chtimes(to, info.ModTime(), info.ModTime())
	})
}

// walkTree makes the directories and symbolic links of src below dst and calls
// file for each regular file. Anything else (sockets, devices) is left out.
func walkTree(ctx context.Context, src, dst string, file func(from, to string, info fs.FileInfo) error) error {
	return filepath.WalkDir(src, func(from string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ended(ctx)
		}
		to := dst + strings.TrimPrefix(from, src)
		switch {
		case d.IsDir():
			return os.Mkdir(to, 0o755)
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(from)
			if err != nil {
				return err
			}
			return os.Symlink(target, to)
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return file(from, to, info)
	})
}

// copyFile copies a regular file with its mode and modification time. On file
// systems that can share blocks it does (io.Copy uses copy_file_range).
func copyFile(from, to string, info fs.FileInfo) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return fmt.Errorf("copy %s: %w", from, err)
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}
