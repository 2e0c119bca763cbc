// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// An Entry is one thing in the cache.
type Entry struct {
	Kind  string // "kernel", "initramfs", "snapshot", "work tree", "source", "download"
	Key   string
	Name  string // for people
	Arch  string // kernels only
	Bytes int64  // on disk, hard links to a source not counted
	Used  time.Time

	Kernel *Kernel // kernels only

	path, lock string
}

// A kind says where its entries live and which lock guards them.
type kind struct{ kind, dir, mark, lock string }

var kinds = []kind{
	{"kernel", "kernels", "meta.json", "kernel-"},
	{"initramfs", "initramfs", "", "initramfs-"},
	guestKind,
	{"work tree", "build", "state.json", "build-"},
	{"source", "src", "name", "src-"},
	{"download", "debian", "", "debian-"},
}

// List lists what is in the cache, kind by kind, the most recently used first.
// Unfinished things are not listed.
func (s *Store) List() ([]Entry, error) {
	var all []Entry
	for _, k := range kinds {
		some, err := s.list(k)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// list is List for one kind.
func (s *Store) list(k kind) ([]Entry, error) {
	dirs, err := filepath.Glob(s.path(k.dir, "*"))
	if err != nil {
		return nil, err
	}
	var some []Entry
	for _, dir := range dirs {
		info, err := os.Stat(filepath.Join(dir, k.mark))
		if err != nil || strings.HasSuffix(dir, ".part") {
			continue
		}
		name := entryName(dir)
		e := Entry{Kind: k.kind, Key: name, Name: name, Used: info.ModTime(), path: dir, lock: k.lock + name}
		s.describe(&e)
		some = append(some, e)
	}
	slices.SortFunc(some, func(a, b Entry) int { return b.Used.Compare(a.Used) })
	return some, nil
}

// entryName is the name that a file of the cache, or the unfinished form of it,
// has in locks.
func entryName(path string) string {
	name := filepath.Base(path)
	for _, end := range []string{".cpio", ".part", ".gone"} {
		name, _, _ = strings.Cut(name, end)
	}
	return name
}

// describe fills in what only the entry itself knows.
func (s *Store) describe(e *Entry) {
	e.Bytes = diskUsage(e.path)
	if m, err := readMeta(e.path); err == nil {
		e.Kernel = m.Kernel.below(e.path)
		e.Name, e.Arch = m.Kernel.Name, m.Kernel.Arch
	}
	if e.Kind == "snapshot" {
		e.Name = guestName(e.path)
	}
	if e.Kind == "source" {
		if name, err := os.ReadFile(filepath.Join(e.path, "name")); err == nil {
			e.Name = strings.TrimSpace(string(name))
		}
	}
}

// diskUsage adds up the files below a path that have no other link.
func diskUsage(path string) int64 {
	var sum int64
	_ = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // removed meanwhile
		}
		if info, err := d.Info(); err == nil {
			sum += blocks(info)
		}
		return nil
	})
	return sum
}

// A GCPolicy says what to remove.
type GCPolicy struct {
	OlderThan time.Duration // last used longer ago than this; 0 removes whatever Keep doesn't keep
	Keep      int           // the most recently used kernels that stay in any case
}

// GC removes what wasn't used for a while, and unfinished things that nobody
// works on. What is locked by a build stays. It returns the bytes freed.
func (s *Store) GC(ctx context.Context, policy GCPolicy) (freed int64, err error) {
	if err := s.prepare(); err != nil {
		return 0, err
	}
	entries, err := s.List()
	if err != nil {
		return 0, err
	}
	kernels := 0
	for _, e := range entries {
		if ctx.Err() != nil {
			return freed, ended(ctx)
		}
		if e.Kind == "kernel" {
			if kernels++; kernels <= policy.Keep {
				continue
			}
		}
		if time.Since(e.Used) < policy.OlderThan {
			continue
		}
		gone, err := s.remove(e)
		if err != nil {
			return freed, err
		}
		if gone {
			freed += e.Bytes
		}
	}
	more, err := s.removeParts()
	freed += more
	if err != nil {
		return freed, err
	}
	more, err = s.pruneGuests()
	return freed + more, err
}

// remove removes an entry unless it is in use.
func (s *Store) remove(e Entry) (bool, error) {
	held, err := s.tryLock(e.lock, "removing it", exclusive)
	if err != nil || held == nil {
		return false, err
	}
	defer held.unlock()
	return true, discard(e.path)
}

// discard removes a directory so that nobody sees half of it: under its old
// name it is gone at once.
func discard(path string) error {
	part := path + ".gone.part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.Rename(path, part); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return os.RemoveAll(part)
}

// unfinished lists what processes of a kind are at work on, or have left behind:
// what has a name for it, and directories that got no mark.
func (s *Store) unfinished(k kind) ([]string, error) {
	all, err := filepath.Glob(s.path(k.dir, "*"))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(path string) bool {
		return !strings.HasSuffix(path, ".part") && exists(filepath.Join(path, k.mark))
	}), nil
}

// removeParts removes what interrupted processes left behind.
func (s *Store) removeParts() (int64, error) {
	var freed int64
	for _, k := range kinds {
		parts, err := s.unfinished(k)
		if err != nil {
			return freed, err
		}
		for _, part := range parts {
			held, err := s.tryLock(k.lock+entryName(part), "removing it", exclusive)
			if err != nil || held == nil {
				continue
			}
			freed += diskUsage(part)
			err = os.RemoveAll(part)
			held.unlock()
			if err != nil {
				return freed, err
			}
		}
	}
	return freed, nil
}

// prune keeps the number of work trees in bounds after a build, and drops
// snapshots of user trees that no work tree is made of. Trees that the next build
// can go on with are counted apart from finished ones, and those that neither is
// true of go. Of Debian's source a tree of every configuration stays, if only with
// patches: without it, that machine's next kernel would be compiled in full.
func (s *Store) prune() error {
	trees, err := s.workTrees()
	if err != nil {
		return err
	}
	keep := s.KeepTrees
	if keep <= 0 {
		keep = 4
	}
	seeded := map[string]bool{} // configurations that a tree stays of
	for _, w := range trees {
		if w.state.Built && w.state.Plain {
			seeded[w.state.ConfKey] = true
		}
	}
	sources, finished, interrupted := map[string]bool{}, 0, 0
	for _, w := range trees {
		stays := false
		switch {
		case w.state.Built && w.state.Plain:
			stays = true
		case w.state.Built:
			finished++
			stays = finished <= keep || !w.state.User && !seeded[w.state.ConfKey]
			seeded[w.state.ConfKey] = seeded[w.state.ConfKey] || stays
		case w.state.resumable():
			interrupted++
			stays = interrupted <= keep
		}
		if stays {
			sources[w.state.TreeKey] = true
			continue
		}
		name := filepath.Base(w.dir)
		if _, err := s.remove(Entry{path: w.dir, lock: "build-" + name}); err != nil {
			return err
		}
	}
	return s.dropSources(sources)
}

// dropSources removes the snapshots of user trees apart from some, by key.
func (s *Store) dropSources(needed map[string]bool) error {
	manifests, err := filepath.Glob(s.path("src", "*", "manifest"))
	if err != nil {
		return err
	}
	for _, file := range manifests {
		dir := filepath.Dir(file)
		info, err := os.Stat(file)
		if err != nil || info.Size() == 0 || needed[filepath.Base(dir)] {
			continue // Debian's have no manifest
		}
		if _, err := s.remove(Entry{path: dir, lock: "src-" + filepath.Base(dir)}); err != nil {
			return err
		}
	}
	return nil
}
