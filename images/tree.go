// SPDX-License-Identifier: Apache-2.0

package images

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"plugstorm/harness/blame"
)

// A tree is a pristine kernel source in the cache, or the promise of one.
type tree struct {
	key     string   // of its content
	name    string   // for people: "linux-source-6.12", "tree linux"
	version string   // "6.12.117"; known once it is in the cache
	files   manifest // of a user's tree
	user    bool     // comes from the user

	fill func(ctx context.Context, part string) error // makes it below part
}

// release is the version as far as it is known before the source is unpacked:
// Debian's package has the first two numbers in its name.
func (t *tree) release() string {
	return cmp.Or(t.version, strings.TrimPrefix(sourcePackage, "linux-source-"))
}

// pristine returns the directory of a source, unpacking it first if need be.
// The source stays locked against removal until the lock is released.
func (s *Store) pristine(ctx context.Context, t *tree) (string, *lock, error) {
	name := "src-" + t.key
	dir := s.path("src", t.key)
	for {
		held, err := s.lock(ctx, name, "unpacking "+t.name, shared)
		if err != nil {
			return "", nil, err
		}
		if exists(dir) {
			sub := filepath.Join(dir, "tree")
			t.version, err = checkTree(sub)
			return sub, held, err
		}
		held.unlock()
		if err := s.unpack(ctx, t, name, dir); err != nil {
			return "", nil, err
		}
	}
}

func (s *Store) unpack(ctx context.Context, t *tree, name, dir string) error {
	held, err := s.lock(ctx, name, "unpacking "+t.name, exclusive)
	if err != nil {
		return err
	}
	defer held.unlock()
	if exists(dir) {
		return nil // somebody else did it while we waited
	}
	if err := s.reserve(sourceSpace); err != nil {
		return err
	}
	return replace(dir, func(part string) error {
		sub := filepath.Join(part, "tree")
		if err := os.Mkdir(sub, 0o755); err != nil {
			return err
		}
		if err := t.fill(ctx, sub); err != nil {
			return err
		}
		if err := t.files.write(filepath.Join(part, "manifest")); err != nil {
			return err
		}
		return writeFile(filepath.Join(part, "name"), []byte(t.name+"\n"))
	})
}

var makefileVar = regexp.MustCompile(`(?m)^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(.*)$`)

// kernelVersion reads the version from a kernel's top Makefile, "" if it is
// none.
func kernelVersion(makefile []byte) string {
	v := map[string]string{}
	for _, m := range makefileVar.FindAllSubmatch(makefile, -1) {
		if _, twice := v[string(m[1])]; !twice {
			v[string(m[1])] = strings.TrimSpace(string(m[2]))
		}
	}
	if v["VERSION"] == "" || v["PATCHLEVEL"] == "" {
		return ""
	}
	version := v["VERSION"] + "." + v["PATCHLEVEL"]
	if v["SUBLEVEL"] != "" {
		version += "." + v["SUBLEVEL"]
	}
	return version + v["EXTRAVERSION"]
}

// checkTree makes sure that dir is a kernel's source and returns its version.
func checkTree(dir string) (string, error) {
	const next = "name the top directory of a Linux source tree"
	makefile, err := os.ReadFile(filepath.Join(dir, "Makefile"))
	if err != nil {
		return "", blame.On(blame.User, fmt.Errorf("no kernel tree: %w", err), next)
	}
	version := kernelVersion(makefile)
	if version == "" {
		return "", blame.Errorf(blame.User, next, "no kernel tree: %s/Makefile has no VERSION and PATCHLEVEL", dir)
	}
	for _, file := range []string{"Kconfig", "Kbuild", "scripts/kconfig", "mm"} {
		if !exists(filepath.Join(dir, file)) {
			return "", blame.Errorf(blame.User, next, "no complete kernel tree: %s has no %s", dir, file)
		}
	}
	return version, nil
}
