// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"os"
	"path"
	"slices"
	"strings"

	"plugstorm/images/internal/patch"
)

// A Change is what plants and patches of the user's change: a function of a file,
// or the file, where what they change is outside of any function.
type Change struct{ File, Func string }

// MaxChanges bounds how many changes are listed: a patch is whatever a user was sent.
const MaxChanges = 64

// Changes lists the functions that a source's plants and patches of the user's
// change or add, in the order of files and names, MaxChanges at most; baseline
// patches don't count. It compares the files before and after: what a hunk's
// heading names is the function before it. A function that goes isn't listed, its
// callers change. The source is unpacked if need be.
func (s *Store) Changes(ctx context.Context, src Source) ([]Change, error) {
	if len(src.Plants)+len(src.Patches) == 0 {
		return nil, nil
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	changes, err := s.changes(ctx, src)
	return changes, s.blameDisk(err)
}

func (s *Store) changes(ctx context.Context, src Source) (changes []Change, err error) {
	err = s.patched(ctx, src, func(j *job, root *os.Root) error {
		changes, err = j.compare(root)
		return err
	})
	return changes, err
}

// patched has something done with a source's patches, parsed, and its pristine tree,
// which is read and may not be changed.
func (s *Store) patched(ctx context.Context, src Source, do func(*job, *os.Root) error) error {
	j := &job{}
	var err error
	if j.patches, err = src.patches(); err != nil {
		return err
	}
	if err := j.parse(); err != nil {
		return err
	}
	if j.source, err = s.sourceTree(ctx, src); err != nil {
		return err
	}
	pristine, held, err := s.pristine(ctx, j.source)
	if err != nil {
		return err
	}
	defer held.unlock()
	root, err := os.OpenRoot(pristine)
	if err != nil {
		return err
	}
	defer root.Close()
	return do(j, root)
}

// compare applies the job's patches in memory and lists what those that aren't
// baseline's change.
func (j *job) compare(root *os.Root) ([]Change, error) {
	o := newOverlay(root)
	before := map[string]string{}
	for i, p := range j.parsed {
		if !strings.HasPrefix(j.patches[i].Name, baselinePatch) {
			for _, file := range p.Written() {
				if _, seen := before[file]; !seen {
					before[file] = o.Text(file)
				}
			}
		}
		if err := j.apply(o, p); err != nil {
			return nil, err
		}
	}
	var all []Change
	for file, text := range before {
		all = append(all, changesOf(file, text, o.Text(file))...)
	}
	slices.SortFunc(all, func(a, b Change) int { return strings.Compare(a.File+":"+a.Func, b.File+":"+b.Func) })
	return all[:min(len(all), MaxChanges)], nil
}

// changesOf lists what a file's change is about.
func changesOf(file, before, after string) []Change {
	if before == after {
		return nil
	}
	if ext := path.Ext(file); ext != ".c" && ext != ".h" {
		return []Change{{File: file}}
	}
	old, oldRest := cFunctions(before)
	changed, rest := cFunctions(after)
	var all []Change
	for name, text := range changed {
		if old[name] != text {
			all = append(all, Change{file, name})
		}
	}
	if rest != oldRest && len(all) == 0 {
		all = append(all, Change{File: file})
	}
	return all
}

// newOverlay begins with the pristine tree below root. The build's own directory in
// it is not for patches.
func newOverlay(root *os.Root) *patch.Overlay {
	return patch.NewOverlay(root, func(name string) bool { return name == objDir || strings.HasPrefix(name, objDir+"/") })
}
