// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Build returns the kernel made from a source, from the cache if it is there.
// A first build takes minutes; one that differs from an earlier build in some
// files reuses its objects. When ctx ends, make and its children end too, and
// the next call goes on where this one was interrupted, unless the host has been
// booted since then, GC has removed the work tree, or KeepTrees builds were
// interrupted later.
func (s *Store) Build(ctx context.Context, arch *Arch, src Source, opt Options) (*Kernel, error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	k, err := s.build(ctx, arch, src, opt)
	return k, s.blameDisk(err)
}

func (s *Store) build(ctx context.Context, arch *Arch, src Source, opt Options) (*Kernel, error) {
	j, err := s.plan(ctx, arch, src, opt)
	if err != nil {
		return nil, err
	}
	if k := s.load(j.kernelKey); k != nil {
		return k, nil
	}
	if err := s.checkTools(arch); err != nil {
		return nil, err
	}
	held, err := s.lock(ctx, "build-"+j.buildKey, "building "+j.what(), exclusive)
	if err != nil {
		return nil, err
	}
	defer held.unlock()
	if k := s.load(j.kernelKey); k != nil {
		return k, nil // built by somebody else while we waited
	}
	k, err := s.makeKernel(ctx, j, held)
	if ctx.Err() == nil {
		err = cmp.Or(err, s.prune())
	}
	return k, err
}

// makeKernel makes a job's kernel. The caller holds the lock of its work tree.
func (s *Store) makeKernel(ctx context.Context, j *job, held *lock) (*Kernel, error) {
	w, err := s.openWork(ctx, j, held)
	if err != nil {
		return nil, err
	}
	if j.source.version == "" {
		j.source.version, err = checkTree(w.tree())
		if err != nil {
			return nil, err
		}
	}
	if err := s.compile(ctx, j, w); err != nil {
		return nil, err
	}
	if err := j.checkCompiled(w); err != nil {
		return nil, err
	}
	modules, err := s.buildModules(ctx, j, w)
	if err != nil {
		return nil, err
	}
	return s.pack(ctx, j, w, modules)
}

// compile configures and compiles the kernel proper, as far as that isn't done.
func (s *Store) compile(ctx context.Context, j *job, w *workTree) error {
	if w.state.Built {
		return nil
	}
	if !w.state.Configured {
		s.stage("configure "+j.what(), configTime)
		if err := s.configure(ctx, j, w); err != nil {
			return err
		}
		w.state.Configured = true
		if err := w.save(); err != nil {
			return err
		}
	}
	expect, start, steps := s.lastEffort(j, w.state.Seeded), time.Now(), 0
	s.stage("compile "+j.what(), time.Duration(expect.Seconds*float64(time.Second)))
	watch := func(line string) {
		if stepLine.MatchString(line) {
			steps++
			s.fraction(min(0.99, float64(steps)/float64(expect.Steps)))
		}
	}
	if err := s.runMake(ctx, j, w, watch, append(j.arch.Targets, "modules")...); err != nil {
		return err
	}
	if !w.resumed {
		if err := s.recordEffort(j, w.state.Seeded, effort{steps, time.Since(start).Seconds()}); err != nil {
			return err
		}
	}
	w.state.Built = true
	return w.save()
}

// configure makes .config from tinyconfig and the fragments, and makes sure
// that it says what the fragments ask for.
func (s *Store) configure(ctx context.Context, j *job, w *workTree) error {
	config := w.object(".config")
	before, err := os.ReadFile(config)
	if err != nil {
		before = nil // a fresh build
	}
	info, infoErr := os.Stat(config)
	if err := s.runMake(ctx, j, w, nil, "tinyconfig"); err != nil {
		return err
	}
	f, err := os.OpenFile(config, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	if _, err = f.Write(configText(j.wishes)); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := s.runMake(ctx, j, w, nil, "olddefconfig"); err != nil {
		return err
	}
	after, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	if err := explainUnmet(os.DirFS(w.tree()), j.what(), verifyConfig(after, j.wishes)); err != nil {
		return err
	}
	if infoErr == nil && bytes.Equal(before, after) {
		return os.Chtimes(config, info.ModTime(), info.ModTime()) // nothing depends on it anew
	}
	return nil
}

// Names beside a built kernel's image.
const (
	VmlinuxFile = "vmlinux" // with debug information if the kernel was configured with it
	ModulesDir  = "modules" // ours and the kernel's own, NAME.ko
)

// pack copies what a guest needs, and what explains its oopses, from a work
// tree into the result.
func (s *Store) pack(ctx context.Context, j *job, w *workTree, modules map[string]string) (*Kernel, error) {
	release, err := os.ReadFile(w.object("include/config/kernel.release"))
	if err != nil {
		return nil, err
	}
	k := &Kernel{
		Key: j.kernelKey, Name: j.name(), Release: strings.TrimSpace(string(release)), Arch: j.arch.Name,
		Image: filepath.Base(j.arch.Image), Vmlinux: VmlinuxFile, SystemMap: "System.map", Config: "config",
		Modules: map[string]string{},
	}
	copies := map[string]string{
		k.Image: w.object(j.arch.Image), k.Vmlinux: w.object("vmlinux"), k.SystemMap: w.object("System.map"), k.Config: w.object(".config"),
	}
	own, err := w.ownModules()
	if err != nil {
		return nil, err
	}
	for _, set := range []map[string]string{own, modules} {
		for name, file := range set {
			k.Modules[name] = filepath.Join(ModulesDir, name+".ko")
			copies[k.Modules[name]] = file
		}
	}
	return s.publish(ctx, k, j.inputs(), copies)
}

// ownModules lists the modules that the kernel itself was configured with.
func (w *workTree) ownModules() (map[string]string, error) {
	order, err := os.ReadFile(w.object("modules.order"))
	if err != nil {
		return nil, err
	}
	modules := map[string]string{}
	for _, name := range strings.Fields(string(order)) {
		file := strings.TrimSuffix(strings.TrimSuffix(name, ".o"), ".ko") + ".ko" // .o since 6.2
		if !fs.ValidPath(file) {
			return nil, fmt.Errorf("modules.order names %q", name)
		}
		base := strings.TrimSuffix(filepath.Base(file), ".ko")
		modules[strings.ReplaceAll(base, "-", "_")] = w.object(file)
	}
	return modules, nil
}
