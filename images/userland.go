// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cavaliergopher/cpio"

	"plugstorm/harness/blame"
	"plugstorm/harness/catalog"
)

// A Userland is what an initramfs can hold beyond the agent and the modules:
// programs of Debian's, for guests in which others than our workloads work.
type Userland struct {
	Name, Doc string

	Packages []string            // Debian packages that hold the programs and all their libraries
	Extra    map[string][]string // further ones by Debian architecture

	Programs map[string]string // path in the guest -> path in a package
	Links    map[string]string // path in the guest -> what it points to
	Sources  map[string]string // path in the guest -> path in the kernel's source; scripts
	Scripts  map[string]string // path in the guest -> text
}

// Userlands is the catalog of all userlands.
var Userlands = catalog.New("userland", func(u *Userland) (string, string) { return u.Name, u.Doc })

// libraryDir is where the guest has all libraries: ld.so looks there anyway.
const libraryDir = "usr/lib"

// WithUserland returns an initramfs that is another one with a userland behind
// it. The kernel unpacks archives one after the other
// (Documentation/driver-api/early-userspace/buffer-format.rst). The first call
// needs the network.
func (s *Store) WithUserland(ctx context.Context, base string, arch *Arch, name string, src Source) (string, error) {
	u, err := Userlands.Get(name)
	if err != nil {
		return "", err
	}
	if err := s.prepare(); err != nil {
		return "", err
	}
	packages, err := s.userlandPackages(ctx, arch, u)
	if err != nil {
		return "", s.blameDisk(fmt.Errorf("userland %s for %s: %w", u.Name, arch.Name, err))
	}
	files, err := u.files(packages)
	if err == nil {
		err = s.userlandSources(ctx, src, u, files)
	}
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(base)
	if err != nil {
		return "", blame.On(blame.Host, err, "something removed it from the cache; run again")
	}
	more, err := u.archive(files)
	if err != nil {
		return "", err
	}
	data = append(data, more...)
	file := s.path("initramfs", digest(data)[:keyLength]+".cpio")
	if exists(file) {
		s.touch(file)
		return file, nil
	}
	return file, s.blameDisk(writeFile(file, data))
}

// userlandPackages fetches the packages of a userland and returns the
// directory in which they are unpacked. They are fetched once.
func (s *Store) userlandPackages(ctx context.Context, arch *Arch, u *Userland) (string, error) {
	names := slices.Concat(u.Packages, u.Extra[arch.DebArch])
	if len(names) == 0 {
		return "", nil
	}
	id := "userland-" + key(append([]string{arch.DebArch}, names...)...)
	dir := s.path("debian", id)
	held, err := s.lock(ctx, "debian-"+id, "fetching "+u.Name, exclusive)
	if err != nil {
		return "", err
	}
	defer held.unlock()
	if exists(dir) {
		s.touch(dir)
		return dir, nil
	}
	s.stage("fetch userland "+u.Name+" for "+arch.Name, fetchTime)
	if err := s.updateLists(ctx, arch.DebArch); err != nil {
		return "", err
	}
	return dir, replace(dir, func(part string) error {
		for _, name := range names {
			if err := s.fetchPackage(ctx, arch.DebArch, name, part); err != nil {
				return err
			}
		}
		return nil
	})
}

// userlandSources adds the files that come from the kernel's source.
func (s *Store) userlandSources(ctx context.Context, src Source, u *Userland, files map[string][]byte) error {
	if len(u.Sources) == 0 {
		return nil
	}
	t, err := s.sourceTree(ctx, src)
	if err != nil {
		return err
	}
	dir, held, err := s.pristine(ctx, t)
	if err != nil {
		return err
	}
	defer held.unlock()
	for to, from := range u.Sources {
		if files[to], err = os.ReadFile(filepath.Join(dir, from)); err != nil {
			return blame.On(blame.User, fmt.Errorf("userland %s: %w", u.Name, err), "name a complete kernel tree")
		}
	}
	return nil
}

// sourceTree is the tree that a kernel is built from.
func (s *Store) sourceTree(ctx context.Context, src Source) (*tree, error) {
	if src.Tree != "" {
		return s.userTree(ctx, src.Tree)
	}
	return s.debianTree(ctx)
}

// files reads the programs, and the libraries that they need, from a
// directory of unpacked packages.
func (u *Userland) files(packages string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for to, text := range u.Scripts {
		files[to] = []byte(text)
	}
	if packages == "" {
		return files, nil
	}
	libraries, err := findLibraries(packages)
	if err != nil {
		return nil, blame.On(blame.Host, err, "")
	}
	var needed []string
	for to, from := range u.Programs {
		data, err := os.ReadFile(filepath.Join(packages, from))
		if err != nil {
			return nil, blame.On(blame.Harness, fmt.Errorf("userland %s: %w", u.Name, err), "correct its list of packages")
		}
		files[to] = data
		more, err := needs(data)
		if err != nil {
			return nil, fmt.Errorf("userland %s: %s: %w", u.Name, from, err)
		}
		needed = append(needed, more...)
	}
	return files, u.addLibraries(files, needed, libraries)
}

// addLibraries adds libraries and what these need in turn.
func (u *Userland) addLibraries(files map[string][]byte, needed []string, libraries map[string]string) error {
	for len(needed) > 0 {
		name := needed[0]
		needed = needed[1:]
		to := libraryDir + "/" + path.Base(name)
		if strings.HasPrefix(name, "/") {
			to = name[1:] // the interpreter
		}
		if files[to] != nil {
			continue
		}
		file, ok := libraries[path.Base(name)]
		if !ok {
			return blame.Errorf(blame.Harness, "correct its list of packages", "userland %s: no package has %s", u.Name, name)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return blame.On(blame.Host, err, "")
		}
		files[to] = data
		more, err := needs(data)
		if err != nil {
			return fmt.Errorf("userland %s: %s: %w", u.Name, name, err)
		}
		needed = append(needed, more...)
	}
	return nil
}

// findLibraries maps the names of all shared libraries below a directory to
// their files.
func findLibraries(dir string) (map[string]string, error) {
	libraries := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(d.Name(), ".so") {
			return err
		}
		// A link may be absolute, and then means a file below dir.
		if d.Type()&fs.ModeSymlink != 0 {
			if target, err := os.Readlink(file); err == nil && path.IsAbs(target) {
				file = filepath.Join(dir, target)
			}
		}
		libraries[d.Name()] = file
		return nil
	})
	return libraries, err
}

// needs lists the libraries that an ELF file asks for, by name, and its
// interpreter, by its absolute path. Scripts need nothing.
func needs(data []byte) ([]string, error) {
	if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return nil, nil
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it is in memory
	names, err := f.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > 4096 {
			continue
		}
		interpreter := make([]byte, p.Filesz)
		if _, err := p.ReadAt(interpreter, 0); err != nil {
			return nil, err
		}
		names = append(names, strings.TrimRight(string(interpreter), "\x00"))
	}
	return names, nil
}

// archive makes a newc archive of files and links, with the directories that
// they need.
func (u *Userland) archive(files map[string][]byte) ([]byte, error) {
	a := &archiver{}
	a.w = cpio.NewWriter(&a.out)
	var names []string
	for name := range files {
		names = append(names, name)
	}
	for name := range u.Links {
		names = append(names, name)
	}
	slices.Sort(names)
	made := map[string]bool{".": true}
	for _, name := range names {
		a.parents(path.Dir(name), made)
		if target, ok := u.Links[name]; ok {
			a.add(&cpio.Header{Name: name, Mode: cpio.TypeSymlink | 0o777}, []byte(target))
			continue
		}
		a.add(&cpio.Header{Name: name, Mode: cpio.TypeReg | 0o755}, files[name])
	}
	if a.err == nil {
		a.err = a.w.Close()
	}
	return a.out.Bytes(), a.err
}

// parents appends a directory and those above it, once each.
func (a *archiver) parents(dir string, made map[string]bool) {
	if made[dir] {
		return
	}
	a.parents(path.Dir(dir), made)
	made[dir] = true
	a.add(&cpio.Header{Name: dir, Mode: cpio.TypeDir | 0o755, Links: 2}, nil)
}
