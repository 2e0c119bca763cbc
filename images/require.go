// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"plugstorm/harness/blame"
)

// A Requirement is something that a build needs on the host.
type Requirement struct {
	Name    string // "flex", "gelf.h"
	For     string // what needs it
	Package string // Debian's
}

// programs that every kernel build needs, with their Debian packages.
var programs = []Requirement{
	{"make", "building kernels", "make"},
	{"gcc", "Kbuild's own tools", "gcc"},
	{"flex", "Kconfig", "flex"},
	{"bison", "Kconfig", "bison"},
	{"bc", "time constants of the kernel", "bc"},
	{"perl", "scripts of the kernel", "perl"},
	{"tar", "unpacking the kernel source", "tar"},
	{"xz", "unpacking the kernel source", "xz-utils"},
	{"gzip", "compressing the kernel", "gzip"},
	{"find", "scripts of the kernel", "findutils"},
	{"awk", "scripts of the kernel", "mawk"},
}

// headers that Kbuild's own tools include.
var headers = []Requirement{
	{"stdio.h", "Kbuild's own tools", "libc6-dev"},
	{"gelf.h", "objtool and modpost", "libelf-dev"},
}

// others are programs that only some uses need.
var others = map[string]string{"git": "git", "apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg"}

// packageOf is the Debian package of a program, "" if we don't know.
func packageOf(name string) string {
	for _, r := range programs {
		if r.Name == name {
			return r.Package
		}
	}
	return others[name]
}

// Missing lists what this host lacks to build kernels for some architectures.
func (s *Store) Missing(archs ...*Arch) []Requirement {
	needed := slices.Clone(programs)
	for _, a := range archs {
		for _, tool := range []string{"gcc", "ld", "objcopy"} {
			needed = append(needed, Requirement{a.cross() + tool, "kernels for " + a.Name, a.compilerPackage()})
		}
	}
	var missing []Requirement
	for _, r := range needed {
		if _, err := s.lookPath(r.Name); err != nil && !slices.Contains(missing, r) {
			missing = append(missing, r)
		}
	}
	for _, r := range headers {
		if !s.hasHeader(r.Name) {
			missing = append(missing, r)
		}
	}
	return missing
}

// hasHeader asks the host's compiler for a header.
func (s *Store) hasHeader(name string) bool {
	var out bytes.Buffer
	return s.run(context.Background(), command{
		name: "gcc", args: []string{"-E", "-include", name, "-o", "/dev/null", "-x", "c", "/dev/null"}, env: s.makeEnv(), output: &out,
	}) == nil
}

// checkTools turns what is missing into one error with one command to run.
func (s *Store) checkTools(arch *Arch) error {
	missing := s.Missing(arch)
	if len(missing) == 0 {
		return nil
	}
	var names, packages []string
	for _, r := range missing {
		names = append(names, r.Name)
		if !slices.Contains(packages, r.Package) {
			packages = append(packages, r.Package)
		}
	}
	return blame.On(blame.Host, fmt.Errorf("building a kernel for %s needs %s", arch.Name, strings.Join(names, ", ")),
		"apt-get install "+strings.Join(packages, " "))
}
