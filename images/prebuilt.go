// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"plugstorm/harness/blame"
)

// Prebuilt takes a kernel that the user built. The file is copied, so that a
// run boots the same kernel from its beginning to its end, and never modified.
func (s *Store) Prebuilt(ctx context.Context, arch *Arch, file string) (*Kernel, error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	k, err := s.adopt(ctx, arch, file, filepath.Base(file), map[string]string{"file": file})
	return k, s.blameDisk(err)
}

// adopt makes a result of a kernel image from elsewhere.
func (s *Store) adopt(ctx context.Context, arch *Arch, file, name string, inputs map[string]string) (*Kernel, error) {
	sum, err := s.hashFile(file)
	if err != nil {
		return nil, err
	}
	id := key("prebuilt", recipe, arch.Name, name, sum, strings.Join(s.ownNames(), " "))
	if k := s.load(id); k != nil {
		return k, nil
	}
	version, err := inspect(arch, file)
	if err != nil {
		return nil, err
	}
	release, _, _ := strings.Cut(version, " ")
	k := &Kernel{
		Key: id, Name: strings.TrimSpace(release + " (" + name + ")"), Release: release, Arch: arch.Name,
		Image: "image", Prebuilt: true, Omitted: s.omitted(),
	}
	return s.publish(ctx, k, inputs, map[string]string{"image": file})
}

// omitted says what a kernel that we didn't build goes without.
func (s *Store) omitted() []string {
	var out []string
	if names := s.ownNames(); len(names) > 0 {
		out = append(out, "our kernel modules ("+strings.Join(names, ", ")+"): they are built with the kernel only")
	}
	return append(out, "symbols and configuration of the kernel: only its image is known")
}

// ownNames lists our modules; none if their sources can't be read, which a
// build would report.
func (s *Store) ownNames() []string {
	files, err := readModules(s.Modules)
	if err != nil {
		return nil
	}
	return moduleNames(files)
}

// Stock returns Debian's packaged kernel for an architecture. It is fetched
// with the host's apt sources, without root, and only the kernel image is
// taken out of the package. The first call needs the network.
func (s *Store) Stock(ctx context.Context, arch *Arch) (*Kernel, error) {
	if arch.StockPackage == "" {
		return nil, blame.Errorf(blame.User, "build a kernel instead", "Debian has no kernel package for %s", arch.Name)
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	k, err := s.stock(ctx, arch)
	return k, s.blameDisk(err)
}

func (s *Store) stock(ctx context.Context, arch *Arch) (*Kernel, error) {
	dir := s.path("debian", arch.StockPackage)
	held, err := s.lock(ctx, "debian-"+arch.StockPackage, "fetching "+arch.StockPackage, exclusive)
	if err != nil {
		return nil, err
	}
	defer held.unlock()
	if !exists(dir) {
		s.stage("fetch "+arch.StockPackage, fetchTime)
		if err := s.fetchStock(ctx, arch, dir); err != nil {
			return nil, fmt.Errorf("fetching Debian's kernel for %s: %w", arch.Name, err)
		}
	}
	images, err := filepath.Glob(filepath.Join(dir, "vmlinu*"))
	if err != nil || len(images) != 1 {
		return nil, blame.Errorf(blame.Harness, "remove it and run again", "%s holds %d kernels instead of one", dir, len(images))
	}
	s.touch(dir)
	return s.adopt(ctx, arch, images[0], "Debian stock", map[string]string{"package": arch.StockPackage})
}

// fetchStock leaves the kernel image of Debian's package in dir.
func (s *Store) fetchStock(ctx context.Context, arch *Arch, dir string) error {
	if err := s.updateLists(ctx, arch.DebArch); err != nil {
		return err
	}
	name, err := s.stockPackage(ctx, arch)
	if err != nil {
		return err
	}
	return replace(dir, func(part string) error {
		unpacked := filepath.Join(part, "unpacked")
		if err := os.Mkdir(unpacked, 0o755); err != nil {
			return err
		}
		if err := s.fetchPackage(ctx, arch.DebArch, name, unpacked); err != nil {
			return err
		}
		found, err := fs.Glob(os.DirFS(unpacked), "boot/vmlinu*")
		if err != nil || len(found) != 1 {
			return blame.Errorf(blame.Host, "", "package %s has %d kernel images", name, len(found))
		}
		if err := os.Rename(filepath.Join(unpacked, found[0]), filepath.Join(part, filepath.Base(found[0]))); err != nil {
			return err
		}
		return os.RemoveAll(unpacked)
	})
}
