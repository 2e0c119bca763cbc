// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"embed"
	"io/fs"
)

//go:embed kmod
var modules embed.FS

// Modules holds the sources of our kernel modules: NAME.c, or the C files of the
// directory NAME, are built as NAME.ko against every kernel under test, and the
// initramfs carries it as ModuleDir/NAME.ko. Headers are theirs to include.
var Modules = sub(modules, "kmod")

// sub is fs.Sub for a directory that the embed pattern above guarantees.
func sub(f fs.FS, dir string) fs.FS {
	s, err := fs.Sub(f, dir)
	if err != nil {
		panic(err)
	}
	return s
}
