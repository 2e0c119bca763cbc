// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"plugstorm/harness/blame"
)

// Functions lists the functions that C files of a source define, after its patches, in
// the order of files and names. A path is a file, or a directory with a slash behind it
// for all files below. What only boot can call (__init) is left out. The source is
// unpacked if need be; a path that isn't there is the user's mistake.
func (s *Store) Functions(ctx context.Context, src Source, paths []string) ([]Change, error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	var all []Change
	err := s.patched(ctx, src, func(j *job, root *os.Root) error {
		o, err := j.applied(root)
		if err != nil {
			return err
		}
		files, err := cFiles(root.FS(), paths)
		for _, file := range files {
			all = append(all, functionsOf(file, o.Text(file))...)
		}
		return err
	})
	return all, s.blameDisk(err)
}

// cFiles are the C files of a tree that some paths name, sorted and once each.
func cFiles(tree fs.FS, paths []string) ([]string, error) {
	files := map[string]bool{}
	for _, p := range paths {
		info, err := fs.Stat(tree, path.Clean(p))
		if err != nil || info.IsDir() != strings.HasSuffix(p, "/") {
			return nil, blame.Errorf(blame.User, "name FILE or DIRECTORY/, as seen from the top of the source", "the kernel's source has no %s", p)
		}
		err = fs.WalkDir(tree, path.Clean(p), func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && path.Ext(name) == ".c" {
				files[name] = true
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(files)), nil
}

// atBoot marks what is in memory that is freed after boot (include/linux/init.h).
var atBoot = regexp.MustCompile(`\b__init\b`)

// functionsOf lists what a file defines, by name.
func functionsOf(file, text string) []Change {
	functions, _ := cFunctions(text)
	var all []Change
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		if head, _, _ := strings.Cut(functions[name], "{"); !atBoot.MatchString(head) {
			all = append(all, Change{file, name})
		}
	}
	return all
}
