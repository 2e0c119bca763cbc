// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"plugstorm/harness/blame"
)

// objDir is our object directory inside a work tree. A source that has
// something of this name loses it.
const objDir = "o-plugstorm"

// products are the patterns of the kernel's own .gitignore that stand for what
// a build leaves behind, for trees without git. Patterns with a slash are for
// the whole path, others for its last element.
var products = []string{
	".*", "*.a", "*.asn1.[ch]", "*.bin", "*.c.[012]*.*", "*.dtb", "*.dtbo", "*.dtb.S", "*.dtbo.S", "*.dwo", "*.elf",
	"*.gcda", "*.gcno", "*.gz", "*.i", "*.ko", "*.lex.c", "*.ll", "*.lst", "*.mod", "*.mod.c", "*.o", "*.o.*", "*.orig",
	"*.rej", "*.s", "*.so", "*.so.dbg", "*.su", "*.symtypes", "*.tab.[ch]", "*.xz", "*.zst", "*~",
	"Module.symvers", "modules.order", "modules.builtin", "modules.builtin.modinfo", "cscope.*", "tags", "TAGS",
	"./vmlinux", "./vmlinux.*", "./vmlinuz", "./System.map", "./" + objDir,
	"./include/config", "./include/generated", "./arch/*/include/generated",
}

// isProduct reports whether git lists a file that must not get into a build
// all the same: a Kbuild tree refuses to build elsewhere while it holds these.
func isProduct(name string) bool {
	return name == ".config" || strings.HasPrefix(name, "include/config/") ||
		strings.HasPrefix(name, "include/generated/") || strings.HasPrefix(name, objDir+"/")
}

// matchProduct reports whether one element of a tree is a build product.
func matchProduct(name string) bool {
	for _, pattern := range products {
		target := path.Base(name)
		if strings.Contains(pattern, "/") {
			target = "./" + name
		}
		if ok, err := path.Match(pattern, target); err == nil && ok {
			return true
		}
	}
	return false
}

// walkSource lists the files of a tree that git knows nothing about.
func walkSource(ctx context.Context, dir string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ended(ctx)
		}
		name, err := filepath.Rel(dir, file)
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case d.IsDir() && (matchProduct(name) || isObjectDir(file)):
			return fs.SkipDir
		case !d.IsDir() && !matchProduct(name):
			paths = append(paths, name)
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		err = blame.On(blame.User, fmt.Errorf("reading the tree: %w", err), "make the tree readable")
	}
	return paths, err
}

// isObjectDir recognises an object directory (make O=) inside the tree by the
// .gitignore that Kbuild writes there (Makefile, target outputmakefile).
func isObjectDir(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, ".gitignore"))
	return err == nil && bytes.HasPrefix(text, []byte("# this is build directory"))
}
