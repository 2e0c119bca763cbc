// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"plugstorm/harness/blame"
)

// checkCompiled refuses a patch of the user's of whose files the build used
// none: a kernel that doesn't hold the patch says nothing about it, and least of
// all that it is clean.
func (j *job) checkCompiled(w *workTree) error {
	for i, p := range j.patches {
		if !strings.HasPrefix(p.Name, userPatch) {
			continue
		}
		files := j.parsed[i].Written()
		used, err := w.uses(files)
		if err != nil {
			return err
		}
		if len(files) > 0 && !used {
			return blame.Errorf(blame.User, "add a --feature whose options compile it (plugstorm images build --help), or choose another --machine",
				"%s has no effect on a kernel for %s: %s is not compiled with this configuration", p.Name, j.arch.Name, strings.Join(files, ", "))
		}
	}
	return nil
}

// uses reports whether the build has used any of some files of the source.
func (w *workTree) uses(files []string) (bool, error) {
	compiled := func(file string) bool {
		source, ok := cutSource(file)
		return ok && exists(w.object(source+".o")) || steersBuild(file)
	}
	if slices.ContainsFunc(files, compiled) {
		return true, nil
	}
	return w.mentions(files)
}

// cutSource cuts a source file's ending.
func cutSource(file string) (string, bool) {
	if source, ok := strings.CutSuffix(file, ".c"); ok {
		return source, true
	}
	return strings.CutSuffix(file, ".S")
}

// steersBuild reports whether a file says what is compiled, and how.
func steersBuild(file string) bool {
	name := path.Base(file)
	return strings.HasPrefix(file, "scripts/") ||
		slices.ContainsFunc([]string{"Makefile", "Kbuild", "Kconfig"}, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// mentions looks for files in what Kbuild has noted of the objects: each one's
// .cmd file names all that it was made of (scripts/basic/fixdep.c), headers, and
// sources that another one includes, such as kernel/sched/topology.c.
func (w *workTree) mentions(files []string) (found bool, err error) {
	wanted, names := map[string]bool{}, [][]byte{}
	for _, file := range files {
		wanted["../"+file], wanted[filepath.Join(w.tree(), file)] = true, true
		names = append(names, []byte(path.Base(file)))
	}
	err = filepath.WalkDir(w.objects(), func(note string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(note) != ".cmd" {
			return err
		}
		text, err := os.ReadFile(note)
		if err != nil || !slices.ContainsFunc(names, func(name []byte) bool { return bytes.Contains(text, name) }) {
			return err
		}
		if found = slices.ContainsFunc(strings.Fields(string(text)), func(word string) bool { return wanted[path.Clean(word)] }); found {
			return fs.SkipAll
		}
		return nil
	})
	return found, err
}
