// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"plugstorm/harness/blame"
)

// A statCache remembers what the files of one tree hashed to, so that looking
// at the tree a second time costs one lstat a file.
type statCache struct {
	Files map[string]statEntry
	Key   string // of the last snapshot, to link unchanged files from
}

type statEntry struct {
	Stamp   stamp
	Content string // as in a manifest
}

// userTree looks at a kernel tree of the user's. The tree is only read. Its
// snapshot in the cache is what gets built, so edits during a build do no
// harm.
func (s *Store) userTree(ctx context.Context, dir string) (*tree, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	version, err := checkTree(dir)
	if err != nil {
		return nil, err
	}
	s.stage("look at "+dir, lookTime)
	cacheFile := s.path("stat", key("tree", dir)+".json")
	cache := readStatCache(cacheFile)
	files, err := s.lookAt(ctx, dir, cache)
	if err != nil {
		return nil, err
	}
	t := &tree{key: files.key(), name: "tree " + filepath.Base(dir), version: version, files: files, user: true}
	previous := cache.Key
	t.fill = func(ctx context.Context, part string) error {
		s.stage("copy "+dir, copyTime)
		return s.snapshot(ctx, dir, part, files, previous)
	}
	cache.Key = t.key
	return t, cache.write(cacheFile)
}

// lookAt hashes the files of a tree, and brings the cache up to date.
func (s *Store) lookAt(ctx context.Context, dir string, cache *statCache) (manifest, error) {
	paths, err := s.sourceFiles(ctx, dir)
	if err != nil {
		return nil, err
	}
	now := time.Now().UnixNano()
	files, entries := manifest{}, map[string]statEntry{}
	for i, path := range paths {
		if ctx.Err() != nil {
			return nil, ended(ctx)
		}
		info, err := os.Lstat(filepath.Join(dir, path))
		if err != nil || info.IsDir() {
			continue // deleted but still in git's index, or a submodule
		}
		st := stampOf(info)
		e, ok := cache.Files[path]
		if !ok || e.Stamp != st {
			if e.Content, err = contentOf(filepath.Join(dir, path), info); err != nil {
				return nil, blame.On(blame.User, fmt.Errorf("reading the tree: %w", err), "make the tree readable")
			}
		}
		if e.Content == "" {
			continue
		}
		files[path] = e.Content
		if st.settled(now) {
			entries[path] = statEntry{st, e.Content}
		}
		s.fraction(float64(i) / float64(len(paths)))
	}
	cache.Files = entries
	return files, nil
}

// contentOf describes a file for a manifest; "" for what is no content.
func contentOf(file string, info fs.FileInfo) (string, error) {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(file)
		return "l " + digest([]byte(target)), err
	case !info.Mode().IsRegular():
		return "", nil
	}
	sum, err := digestFile(file)
	if info.Mode()&0o111 != 0 {
		return "x " + sum, err
	}
	return "f " + sum, err
}

// snapshot copies the listed files to part; unchanged ones are linked from the
// previous snapshot of the same tree.
func (s *Store) snapshot(ctx context.Context, dir, part string, files manifest, previous string) error {
	old, err := readManifest(s.path("src", previous, "manifest"))
	if err != nil {
		old = manifest{}
	}
	done := 0
	for path, content := range files {
		if ctx.Err() != nil {
			return ended(ctx)
		}
		to := filepath.Join(part, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		linked := old[path] == content && os.Link(s.path("src", previous, "tree", path), to) == nil
		if !linked {
			if err := s.copyExactly(filepath.Join(dir, path), to, content); err != nil {
				return err
			}
		}
		done++
		s.fraction(float64(done) / float64(len(files)))
	}
	return nil
}

// copyExactly copies a file of the user's and makes sure that it is still the
// one that was hashed.
func (s *Store) copyExactly(from, to, content string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return changed(from)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		if err != nil || "l "+digest([]byte(target)) != content {
			return changed(from)
		}
		return os.Symlink(target, to)
	}
	if err := copyFile(from, to, info); err != nil {
		return err
	}
	if now, err := contentOf(to, info); err != nil || now != content {
		return changed(from)
	}
	return nil
}

func changed(file string) error {
	return blame.Errorf(blame.User, "leave the tree alone for some seconds and run again",
		"the kernel tree changed while it was copied: %s", file)
}

// hashFile is digestFile with a memory.
func (s *Store) hashFile(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", blame.On(blame.User, err, "name a readable file")
	}
	if !info.Mode().IsRegular() {
		return "", blame.Errorf(blame.User, "name a readable file", "%s is no regular file", file)
	}
	cacheFile := s.path("stat", key("file", file)+".json")
	cache, st := readStatCache(cacheFile), stampOf(info)
	if e, ok := cache.Files[file]; ok && e.Stamp == st {
		return e.Content, nil
	}
	sum, err := digestFile(file)
	if err != nil {
		return "", blame.On(blame.User, err, "name a readable file")
	}
	if !st.settled(time.Now().UnixNano()) {
		return sum, nil
	}
	cache.Files = map[string]statEntry{file: {st, sum}}
	return sum, cache.write(cacheFile)
}

// readStatCache reads a stat cache. One that can't be read is empty: it only
// saves time.
func readStatCache(file string) *statCache {
	cache := &statCache{}
	data, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(data, cache) != nil {
		return &statCache{}
	}
	return cache
}

func (c *statCache) write(file string) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return writeFile(file, data)
}

// inGit reports whether dir is the top of a git work tree.
func inGit(dir string) bool { return exists(filepath.Join(dir, ".git")) }

// sourceFiles lists the files of a tree, without what builds leave behind. In
// a git work tree git knows: tracked files as they are now, and untracked ones
// that aren't ignored.
func (s *Store) sourceFiles(ctx context.Context, dir string) ([]string, error) {
	if !inGit(dir) {
		return walkSource(ctx, dir)
	}
	out, err := s.output(ctx, "git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", dir,
		"ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, blame.On(blame.User, fmt.Errorf("listing the tree: %w", err), "make git ls-files work in the tree")
	}
	var paths []string
	for path := range strings.SplitSeq(string(out), "\x00") {
		if path != "" && !isProduct(path) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}
