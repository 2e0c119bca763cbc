// SPDX-License-Identifier: Apache-2.0

package images

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"plugstorm/harness/blame"
	"plugstorm/images/internal/patch"
)

// A workTree is where a kernel is compiled.
type workTree struct {
	dir   string // build/KEY
	held  *lock
	state workState

	resumed bool // goes on where an earlier process stopped
}

// A workState says how far a work tree is. It is rewritten by rename.
type workState struct {
	Ready      bool // source and reused objects are in place
	Configured bool
	Built      bool

	Boot    string // the host's boot, see resume
	TreeKey string
	ConfKey string
	Overlay map[string]string // patched files, as in manifest.overlaid
	User    bool              // the source is the user's
	Plain   bool              // Debian's source without patches: the base of all else, never pruned
	Seeded  bool
}

// resumable reports whether a build can go on where it was interrupted. After a
// crash of the host, files may be shorter than their names say.
func (st *workState) resumable() bool { return st.Ready && !st.Built && st.Boot == bootID() }

func (w *workTree) tree() string           { return filepath.Join(w.dir, "tree") }
func (w *workTree) objects() string        { return filepath.Join(w.dir, "tree", objDir) }
func (w *workTree) object(n string) string { return filepath.Join(w.objects(), n) }

func (w *workTree) save() error {
	data, err := json.Marshal(w.state)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(w.dir, "state.json"), data)
}

// readWorkState reads the state of a work tree; anything unreadable is a tree
// that isn't ready.
func readWorkState(dir string) workState {
	var st workState
	data, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err != nil || json.Unmarshal(data, &st) != nil {
		return workState{}
	}
	return st
}

// openWork returns a work tree that is ready to compile: a finished one, one
// that was interrupted, or a new one. The caller holds its lock.
func (s *Store) openWork(ctx context.Context, j *job, held *lock) (*workTree, error) {
	w := &workTree{dir: s.path("build", j.buildKey), held: held}
	w.state = readWorkState(w.dir)
	switch {
	case w.state.Built:
		return w, nil
	case w.state.resumable():
		w.resumed = true
		s.line("going on with an interrupted build")
		return w, dropTorn(w.objects())
	}
	if err := os.RemoveAll(w.dir); err != nil {
		return nil, err
	}
	return w, s.newWork(ctx, j, w)
}

// newWork makes a work tree: a source, the patched files, and the objects of a
// similar build.
func (s *Store) newWork(ctx context.Context, j *job, w *workTree) error {
	pristine, source, err := s.pristine(ctx, j.source)
	if err != nil {
		return err
	}
	defer source.unlock()
	overlay, err := j.overlay(pristine)
	if err != nil {
		return err
	}
	if err := s.reserve(treeSpace); err != nil {
		return err
	}
	s.stage("prepare "+j.what(), prepareTime)
	w.state = workState{
		Boot: bootID(), TreeKey: j.source.key, ConfKey: j.confKey, Overlay: contents(overlay),
		User: j.source.user, Plain: !j.source.user && len(overlay.Changes) == 0,
	}
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return err
	}
	if err := linkTree(ctx, pristine, w.tree()); err != nil {
		return err
	}
	if err := os.RemoveAll(w.objects()); err != nil {
		return err
	}
	root, err := os.OpenRoot(w.tree())
	if err != nil {
		return err
	}
	defer root.Close()
	if err := s.seed(ctx, j, w, root); err != nil {
		return err
	}
	if err := overlay.Write(root); err != nil {
		return err
	}
	if err := os.MkdirAll(w.objects(), 0o755); err != nil {
		return err
	}
	w.state.Ready = true
	return w.save()
}

// overlay applies the job's patches in memory.
func (j *job) overlay(pristine string) (*patch.Overlay, error) {
	root, err := os.OpenRoot(pristine)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return j.applied(root)
}

// applied is the tree below root with the job's patches.
func (j *job) applied(root *os.Root) (*patch.Overlay, error) {
	o := newOverlay(root)
	for _, p := range j.parsed {
		if err := j.apply(o, p); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// apply applies one of the job's patches.
func (j *job) apply(o *patch.Overlay, p *patch.Patch) error {
	err := o.Apply(p)
	if err == nil {
		return nil
	}
	next := "correct the patch, or choose the kernel that it was made for"
	if strings.HasPrefix(p.Name, baselinePatch) {
		next = "leave the baseline patches out, or choose the kernel that they were made for (Debian's " + sourcePackage + ")"
	}
	return blame.Errorf(blame.User, next, "%w (tried on %s, %s)", err, j.source.version, j.source.name)
}

// contents describes the changed files of an overlay for comparisons.
func contents(o *patch.Overlay) map[string]string {
	m := map[string]string{}
	for name, c := range o.Changes {
		switch {
		case c.Deleted:
			m[name] = ""
		case c.Exec:
			m[name] = "x " + digest(c.Data)
		default:
			m[name] = "f " + digest(c.Data)
		}
	}
	return m
}

// bootID tells one boot of the host from another; "" if the host doesn't say.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// dropTorn removes targets that a killed build may have left half-written.
// Kbuild writes .NAME.cmd when NAME is finished, and make would take a NAME
// that is younger than its sources for whole. Some targets are touched again
// after their .cmd; they are made anew without need, which does no harm.
func dropTorn(objects string) error {
	return filepath.WalkDir(objects, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, ok := strings.CutSuffix(d.Name(), ".cmd")
		if !ok || !strings.HasPrefix(name, ".") {
			return nil
		}
		target := filepath.Join(filepath.Dir(file), name[1:])
		made, err := os.Stat(target)
		if err != nil {
			return nil // not there: nothing to be taken for whole
		}
		done, err := d.Info()
		if err == nil && made.ModTime().After(done.ModTime()) {
			err = os.Remove(target)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// seed copies the objects of the finished build that differs in the fewest
// files, and makes those files look younger than the objects.
func (s *Store) seed(ctx context.Context, j *job, w *workTree, root *os.Root) error {
	best, held, err := s.findSeed(ctx, j, w)
	if err != nil || best == nil {
		return err
	}
	defer held.unlock()
	s.logf("reusing the objects of %s, %d files differ", best.dir, len(best.differ))
	if err := copyObjects(ctx, filepath.Join(best.dir, "tree", objDir), w.objects()); err != nil {
		return err
	}
	for _, name := range best.differ {
		info, err := root.Lstat(name)
		if err != nil || !info.Mode().IsRegular() {
			continue // deleted, or patched in later; symbolic links have no content of their own
		}
		data, err := root.ReadFile(name)
		if err != nil {
			return err
		}
		if err := patch.Replace(root, name, data, info.Mode()&0o111 != 0); err != nil {
			return err
		}
	}
	w.state.Seeded = true
	w.state.Configured = !slices.ContainsFunc(best.differ, isKconfig)
	return nil
}

// A seed is a finished build to start from.
type seed struct {
	dir    string
	differ []string // source files that aren't the same
}

// findSeed looks for the most similar finished build with the same
// configuration and compiler that nobody is using, and returns it locked, or
// nil if there is none. It waits for one that is in use if all of them are:
// that takes seconds, compiling in full takes minutes.
func (s *Store) findSeed(ctx context.Context, j *job, w *workTree) (*seed, *lock, error) {
	seeds, err := s.seeds(j, w)
	if err != nil {
		return nil, nil, err
	}
	for _, candidate := range seeds {
		held, err := s.tryLock(candidate.lock(), "", shared)
		if err != nil {
			return nil, nil, err
		}
		if held != nil && readWorkState(candidate.dir).Built {
			return candidate, held, nil
		}
		held.unlock() // in use, or just removed
	}
	for _, candidate := range seeds {
		held, err := s.lock(ctx, candidate.lock(), "", shared)
		if err != nil {
			return nil, nil, err
		}
		if readWorkState(candidate.dir).Built {
			return candidate, held, nil
		}
		held.unlock()
	}
	return nil, nil, nil
}

func (c *seed) lock() string { return "build-" + filepath.Base(c.dir) }

// seeds lists the finished builds that a job could start from, the most similar
// one first.
func (s *Store) seeds(j *job, w *workTree) ([]*seed, error) {
	states, err := s.workTrees()
	if err != nil {
		return nil, err
	}
	mine := j.source.files.overlaid(w.state.Overlay)
	var all []*seed
	for _, old := range states {
		st := old.state
		if !st.Built || st.ConfKey != j.confKey {
			continue
		}
		files, err := s.filesOf(st.TreeKey, j)
		if err != nil {
			return nil, err
		}
		if files != nil {
			all = append(all, &seed{old.dir, mine.diff(files.overlaid(st.Overlay))})
		}
	}
	slices.SortStableFunc(all, func(a, b *seed) int { return cmp.Compare(len(a.differ), len(b.differ)) })
	return all, nil
}

// filesOf returns the manifest of a source, to be compared with the job's; nil
// if they can't be compared.
func (s *Store) filesOf(treeKey string, j *job) (manifest, error) {
	if treeKey == j.source.key {
		if j.source.files == nil {
			return manifest{}, nil
		}
		return j.source.files, nil
	}
	m, err := readManifest(s.path("src", treeKey, "manifest"))
	if err != nil || len(m) == 0 || len(j.source.files) == 0 {
		return nil, err
	}
	return m, nil
}

// workTrees lists all work trees, the most recently used first.
func (s *Store) workTrees() ([]*workTree, error) {
	dirs, err := filepath.Glob(s.path("build", "*", "state.json"))
	if err != nil {
		return nil, err
	}
	used := map[*workTree]int64{}
	var all []*workTree
	for _, file := range dirs {
		info, err := os.Stat(file)
		if err != nil {
			continue // removed meanwhile
		}
		w := &workTree{dir: filepath.Dir(file), state: readWorkState(filepath.Dir(file))}
		used[w] = info.ModTime().UnixNano()
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b *workTree) int { return int(min(1, max(-1, used[b]-used[a]))) })
	return all, nil
}
