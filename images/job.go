// SPDX-License-Identifier: Apache-2.0

package images

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"plugstorm/harness/blame"
	"plugstorm/images/internal/patch"
)

// recipe is part of every key. It is raised when the same inputs give another
// kernel because this package changed.
const recipe = "1"

// A job is one kernel to build: all that goes into it, and the keys that
// follow from that.
type job struct {
	arch    *Arch
	opt     Options
	wishes  []wish
	source  *tree
	patches []patchText
	parsed  []*patch.Patch
	modules map[string][]byte // sources of our modules, by path

	confKey   string // configuration and compiler: objects of equal confKey can be reused
	buildKey  string // confKey, source and patches: the kernel proper
	kernelKey string // buildKey and our modules: the result
}

// plan gathers the inputs of a build.
func (s *Store) plan(ctx context.Context, arch *Arch, src Source, opt Options) (*job, error) {
	j := &job{arch: arch, opt: opt}
	var err error
	if j.wishes, err = wishes(arch, opt.Features); err != nil {
		return nil, err
	}
	if j.patches, err = src.patches(); err != nil {
		return nil, err
	}
	if err := j.parse(); err != nil {
		return nil, err
	}
	compiler, err := s.compiler(ctx, arch)
	if err != nil {
		return nil, cmp.Or(s.checkTools(arch), err) // all that is missing, if anything is
	}
	if j.modules, err = readModules(s.Modules); err != nil {
		return nil, err
	}
	if j.source, err = s.sourceTree(ctx, src); err != nil {
		return nil, err
	}
	j.wishes = wishesFor(j.source.release(), j.wishes)
	j.setKeys(compiler)
	return j, nil
}

// parse reads the patches, so that a bad one is told before anything is built.
func (j *job) parse() error {
	for _, p := range j.patches {
		parsed, err := parsePatch(p.Name, p.Text)
		if err != nil {
			return err
		}
		j.parsed = append(j.parsed, parsed)
	}
	return nil
}

func parsePatch(name string, text []byte) (*patch.Patch, error) {
	parsed, err := patch.Parse(name, text)
	return parsed, blame.On(blame.User, err, "name a patch in unified diff format")
}

func (j *job) setKeys(compiler string) {
	j.confKey = key("configuration", recipe, j.arch.Name, strings.Join(j.arch.Targets, " "), string(configText(j.wishes)), compiler)
	parts := []string{"build", j.confKey, j.source.key}
	for _, p := range j.patches {
		parts = append(parts, digest(p.Text))
	}
	j.buildKey = key(parts...)
	parts = []string{"kernel", j.buildKey}
	for _, name := range slices.Sorted(maps.Keys(j.modules)) {
		parts = append(parts, name, digest(j.modules[name]))
	}
	j.kernelKey = key(parts...)
}

// name is the kernel's name for people.
func (j *job) name() string {
	name := j.source.version
	if name == "" {
		name = j.source.name
	}
	for _, p := range j.patches {
		if p.Label != "" {
			name += " +" + p.Label
		}
	}
	for _, f := range slices.Sorted(slices.Values(j.opt.Features)) {
		name += " " + f
	}
	if j.source.user {
		name += " (" + j.source.name + ")"
	}
	return name
}

// what is a job in a few words, for locks and progress.
func (j *job) what() string { return "kernel " + j.name() + " for " + j.arch.Name }

// fault is who has to act if the kernel doesn't compile.
func (j *job) fault() blame.Party {
	if j.source.user || slices.ContainsFunc(j.patches, func(p patchText) bool { return strings.HasPrefix(p.Name, userPatch) }) {
		return blame.User
	}
	return blame.Harness
}

// compiler identifies the compiler and the linker of an architecture.
func (s *Store) compiler(ctx context.Context, arch *Arch) (string, error) {
	var all []string
	for _, tool := range []string{"gcc", "ld"} {
		version, err := s.toolVersion(ctx, arch.cross()+tool)
		if err != nil {
			return "", onHost(ctx, err, "apt-get install "+arch.compilerPackage())
		}
		all = append(all, version)
	}
	return strings.Join(all, "; "), nil
}
