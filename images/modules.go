// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"plugstorm/harness/blame"
)

// readModules reads the sources of our kernel modules, C files and headers, by
// their paths below from.
func readModules(from fs.FS) (map[string][]byte, error) {
	files := map[string][]byte{}
	if from == nil {
		return files, nil
	}
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		ext := path.Ext(name)
		if err != nil || !d.Type().IsRegular() || ext != ".c" && ext != ".h" || strings.HasSuffix(name, ".mod.c") {
			return err
		}
		files[name], err = fs.ReadFile(from, name)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("sources of our modules: %w", err)
	}
	return files, nil
}

// moduleSources lists the C files of each module: NAME.c is one, and so is a
// directory NAME.
func moduleSources(files map[string][]byte) map[string][]string {
	modules := map[string][]string{}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if source, ok := strings.CutSuffix(file, ".c"); ok {
			module, _, _ := strings.Cut(source, "/")
			modules[module] = append(modules[module], file)
		}
	}
	return modules
}

// moduleNames lists the modules that sources make, in alphabetical order.
func moduleNames(files map[string][]byte) []string {
	return slices.Sorted(maps.Keys(moduleSources(files)))
}

// kbuild is the makefile by which Kbuild makes the modules.
func kbuild(files map[string][]byte) string {
	var text strings.Builder
	modules := moduleSources(files)
	for _, module := range slices.Sorted(maps.Keys(modules)) {
		fmt.Fprintf(&text, "obj-m += %s.o\n", module)
		for _, file := range modules[module] {
			if object := strings.TrimSuffix(file, ".c") + ".o"; object != module+".o" {
				fmt.Fprintf(&text, "%s-y += %s\n", module, object)
			}
		}
	}
	return text.String()
}

// buildModules builds our modules against the kernel and returns them by name.
func (s *Store) buildModules(ctx context.Context, j *job, w *workTree) (map[string]string, error) {
	names := moduleNames(j.modules)
	if len(names) == 0 {
		return nil, nil
	}
	s.stage("our modules for "+j.what(), modulesTime)
	dir := filepath.Join(w.dir, "kmod")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	files := maps.Clone(j.modules)
	files["Kbuild"] = []byte(kbuild(j.modules))
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, text, 0o644)); err != nil {
			return nil, err
		}
	}
	if err := s.runMake(ctx, j, w, nil, "M="+dir, "modules"); err != nil {
		return nil, fmt.Errorf("our modules: %w", err)
	}
	modules := map[string]string{}
	for _, name := range names {
		modules[name] = filepath.Join(dir, name+".ko")
		if !exists(modules[name]) {
			return nil, blame.Errorf(blame.Harness, "read "+s.logFile(j), "our module %s was not built", name)
		}
	}
	return modules, nil
}
