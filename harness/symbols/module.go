// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"plugstorm/harness/blame"
)

// Bounds on modules.
const (
	maxEntries = 1 << 20 // of the directory that modules are looked for in
	maxModule  = 1 << 30 // bytes of one, unpacked
)

// A moduleDir finds modules below a directory.
type moduleDir struct {
	dir   string
	limit int                 // maxEntries, but for tests
	files map[string][]string // by module name; nil until needed
}

// suffixes of module files, the best first: one with debug information that
// was split off, and the plain file.
var suffixes = []string{".ko.debug", ".ko", ".ko.zst", ".ko.gz", ".ko.xz"}

// open reads a module.
func (m *moduleDir) open(module string) (*object, error) {
	if m.dir == "" {
		return nil, missing("name the directory of the kernel's modules", "module %s: no directory of modules is known", module)
	}
	if err := m.list(); err != nil {
		return nil, err
	}
	files := m.files[moduleName(module)]
	if len(files) == 0 {
		return nil, missing("name the directory of the kernel's modules", "there is no module %s below %s", module, m.dir)
	}
	slices.SortStableFunc(files, func(a, b string) int { return rank(a) - rank(b) })
	if len(files) > 1 && rank(files[0]) == rank(files[1]) {
		return nil, missing("name the directory of one kernel's modules only", "there are several modules %s: %s, %s", module, files[0], files[1])
	}
	data, err := readModule(files[0])
	if err != nil {
		return nil, blame.On(blame.User, fmt.Errorf("%s: %w", files[0], err), "unpack the module")
	}
	return newObject(files[0], data)
}

// list walks the directory once. Symbolic links (build and source in
// /lib/modules) aren't followed.
func (m *moduleDir) list() error {
	if m.files != nil {
		return nil
	}
	files, entries := map[string][]string{}, 0
	err := filepath.WalkDir(m.dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entries++; entries > m.limit {
			return fmt.Errorf("%s has more than %d files and directories in it", m.dir, m.limit)
		}
		if i := rank(file); i >= 0 && d.Type().IsRegular() {
			name := moduleName(strings.TrimSuffix(d.Name(), suffixes[i]))
			files[name] = append(files[name], file)
		}
		return nil
	})
	if err != nil {
		return blame.On(blame.User, fmt.Errorf("looking for modules: %w", err), "name the directory of the kernel's modules")
	}
	m.files = files
	return nil
}

// rank is the index of the file's suffix, -1 if it is no module.
func rank(file string) int {
	return slices.IndexFunc(suffixes, func(s string) bool { return strings.HasSuffix(file, s) })
}

// moduleName is a module's name as the kernel has it: files may have dashes.
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

// readModule reads a module into memory, unpacked.
func readModule(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var in io.Reader = f
	switch filepath.Ext(file) {
	case ".gz":
		if in, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	case ".zst":
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxModule))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		in = z
	case ".xz":
		return nil, fmt.Errorf("compressed with xz, which we can't read")
	}
	data, err := io.ReadAll(io.LimitReader(in, maxModule+1))
	if err == nil && len(data) > maxModule {
		err = fmt.Errorf("larger than %d bytes", maxModule)
	}
	return data, err
}
