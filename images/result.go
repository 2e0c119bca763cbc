// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A meta is the meta.json of a result. Its paths are relative to the result,
// so a cache may be moved.
type meta struct {
	Kernel  Kernel
	Created time.Time
	Inputs  map[string]string // what it was made from, for people
}

// inputs describes a job for meta.json.
func (j *job) inputs() map[string]string {
	in := map[string]string{"source": j.source.name, "source key": j.source.key, "build": j.buildKey, "configuration": j.confKey}
	for _, p := range j.patches {
		in[p.Name] = digest(p.Text)
	}
	for name, text := range j.modules {
		in["module source "+name] = digest(text)
	}
	return in
}

// publish copies files (name in the result -> file) into a result and writes
// its meta.json. The result appears whole, once: a second publisher gets the
// first one's.
func (s *Store) publish(ctx context.Context, k *Kernel, inputs, copies map[string]string) (*Kernel, error) {
	held, err := s.lock(ctx, "kernel-"+k.Key, "storing kernel "+k.Name, exclusive)
	if err != nil {
		return nil, err
	}
	defer held.unlock()
	if old := s.load(k.Key); old != nil {
		return old, nil
	}
	dir := s.path("kernels", k.Key)
	err = replace(dir, func(part string) error {
		for _, name := range slices.Sorted(maps.Keys(copies)) {
			if err := install(copies[name], filepath.Join(part, name)); err != nil {
				return err
			}
		}
		data, err := json.MarshalIndent(meta{*k, time.Now().UTC(), inputs}, "", "  ")
		if err != nil {
			return err
		}
		return writeFile(filepath.Join(part, "meta.json"), append(data, '\n'))
	})
	if err != nil {
		return nil, err
	}
	return k.below(dir), nil
}

// install copies a file into a result, down to the disk.
func install(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := copyFile(from, to, info); err != nil {
		return err
	}
	f, err := os.Open(to)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// load returns a result, or nil if there is none. It counts as used now.
func (s *Store) load(key string) *Kernel {
	dir := s.path("kernels", key)
	m, err := readMeta(dir)
	if err != nil {
		return nil
	}
	k := m.Kernel.below(dir)
	for _, file := range k.files() {
		if !exists(file) {
			return nil // somebody removed half of it: make it again
		}
	}
	s.touch(filepath.Join(dir, "meta.json"))
	return k
}

func readMeta(dir string) (*meta, error) {
	data, err := os.ReadFile(filepath.Join(dir, "meta.json"))
	if err != nil {
		return nil, err
	}
	m := &meta{}
	return m, json.Unmarshal(data, m)
}

// touch marks something as used now, for GC. A cache that can't be written
// ages, that's all.
func (s *Store) touch(file string) {
	now := time.Now()
	if err := os.Chtimes(file, now, now); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.logf("%v", err)
	}
}

// below makes the paths of a stored kernel absolute.
func (k *Kernel) below(dir string) *Kernel {
	abs := *k
	for _, p := range []*string{&abs.Image, &abs.Vmlinux, &abs.SystemMap, &abs.Config} {
		if *p != "" {
			*p = filepath.Join(dir, *p)
		}
	}
	abs.Modules = map[string]string{}
	for name, file := range k.Modules {
		abs.Modules[name] = filepath.Join(dir, file)
	}
	return &abs
}

// ModulesDir is the directory that holds the kernel's modules, unstripped, ""
// if it has none. With Vmlinux it is what explains the kernel's stacks; there
// are lines only if the kernel was built with the feature debuginfo.
func (k *Kernel) ModulesDir() string {
	for _, file := range k.Modules {
		return filepath.Dir(file) // they are all in one: see pack
	}
	return ""
}

// files lists all files of a kernel.
func (k *Kernel) files() []string {
	files := slices.Collect(maps.Values(k.Modules))
	for _, file := range []string{k.Image, k.Vmlinux, k.SystemMap, k.Config} {
		if file != "" {
			files = append(files, file)
		}
	}
	return files
}
